"""Whether a customer's search uses the database index of its version: the plan of the very statement, and its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, models

from visualsearch.conf import conf
from visualsearch.doctor.finding import Finding, Verdict
from visualsearch.models import VisualIndex, active_index, rows
from visualsearch.sources import ImageSource
from visualsearch.statements import settings_for
from visualsearch.stores import Condition, get_store
from visualsearch.stores.pgvector import PgVectorStore, hnsw_name, nearest_images, search_settings

# PostgreSQL may do without the index where that costs no customer anything: it is then right, or nearly.
QUICK_MS = 25.0
TIMES = 2.0
TRIES = 3
FORCED = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; "


def search(source: ImageSource) -> Iterator[Finding]:
    """Nothing is said of a version that has no database index: that has been said."""
    index, store = active_index(source), get_store()
    if index is None or not isinstance(store, PgVectorStore) or store.condition(index) is not Condition.READY:
        return
    row = rows(index, vector__isnull=False).order_by("pk").first()
    if row is None:
        return
    try:
        query = nearest_images(
            index, row.vector, source.eligible_images(), int(conf.DEFAULT_LIMIT), distinct=source.product_field
        )
        plan, taken, found = _explained(query, "")
    except EmptyResultSet:  # Django knows that nothing is eligible, as after none()
        found = 0
    if not found:
        said = f"{source}: a search finds nothing, since no product that is indexed may be shown now."
        yield Finding("search", Verdict.ADVICE, said, "See eligible= of register().", source.name)
        return
    name = hnsw_name(index)
    if name in plan:
        said = f"{source}: searches use the database index {name}; one took {taken:.0f} ms."
        yield Finding("search", Verdict.OK, said, "", source.name)
        return
    yield _without(source, index, query, taken)


def _without(source: ImageSource, index: VisualIndex, query: models.QuerySet[Any], taken: float) -> Finding:
    """The planner compares all vectors. It is right in a small table; tried against being made to use the index."""
    name, count = hnsw_name(index), rows(index, vector__isnull=False).count()
    plan, forced, _ = _explained(query, FORCED)
    if name not in plan:
        said = f"{source}: searches cannot use the database index {name}, and compare all {count} images."
        todo = (
            "See that the database has enable_indexscan on, and that its OPTIONS have no server_side_binding; then "
            "run: manage.py visualsearch_reconcile --fix"
        )
        return Finding("search", Verdict.WRONG, said, todo, source.name)
    said = f"{source}: PostgreSQL compares all {count} images in {taken:.0f} ms; by the index it takes {forced:.0f} ms."
    if taken <= max(QUICK_MS, TIMES * forced):
        return Finding("search", Verdict.OK, f"{said} With so few images that is right.", "", source.name)
    todo = "Run in the database: ANALYZE; if that does not help, see docs/doctor.md, search."
    return Finding("search", Verdict.WRONG, said, todo, source.name)


def _explained(query: models.QuerySet[Any], settings: str) -> tuple[str, float, int]:
    """The plan of the statement, the best of some times in milliseconds, and how many images it found."""
    with settings_for(connections[query.db], search_settings() + settings):
        plan = query.explain()
        times, found = [], 0
        for _ in range(TRIES):
            start = time.perf_counter()
            found = len(query.all())
            times.append((time.perf_counter() - start) * 1000)
    return plan, min(times), found
