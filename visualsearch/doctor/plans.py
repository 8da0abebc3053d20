"""Whether a customer's search uses the database index of its version: the plan of the very statement, and its time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.core.exceptions import EmptyResultSet
from django.db import OperationalError

from visualsearch.conf import conf
from visualsearch.doctor.finding import Finding, Verdict
from visualsearch.models import VisualIndex, active_index, rows
from visualsearch.sources import ImageSource
from visualsearch.stores import Condition, get_store
from visualsearch.stores.nearest import Nearest
from visualsearch.stores.pgvector import PgVectorStore, hnsw_name

# PostgreSQL may do without the index where that costs no customer anything: it is then right, or nearly.
FEW = 2_000  # images, among which no way is slow
QUICK_MS = 50.0
TIMES = 2.0
TRIES = 3
LONGEST = 10  # seconds after which a search is given up: a plan that is forced may be much worse
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
        query = Nearest(
            index, row.vector, source.eligible_images(), int(conf.DEFAULT_LIMIT), distinct=source.product_field
        )
        taken, found = _timed(query, "")
    except EmptyResultSet:  # Django knows that nothing is eligible, as after none()
        taken, found = 0.0, 0
    if not found and taken is not None:
        said = f"{source}: a search finds nothing, since no product that is indexed may be shown now."
        yield Finding("search", Verdict.ADVICE, said, "See eligible= of register().", source.name)
    elif taken is not None and hnsw_name(index) in _plan(query, ""):
        said = f"{source}: searches use the database index {hnsw_name(index)}; one took {taken:.0f} ms."
        yield Finding("search", Verdict.OK, said, "", source.name)
    else:
        yield _without(source, index, query, taken)


def _without(source: ImageSource, index: VisualIndex, query: Nearest, taken: float | None) -> Finding:
    """The planner compares all vectors. It is right in a small table; tried against being made to use the index."""
    name, count = hnsw_name(index), rows(index, vector__isnull=False).count()
    if name not in _plan(query, FORCED):
        said = f"{source}: searches cannot use the database index {name}, and compare all {count} images."
        todo = (
            "See that the database has enable_indexscan on, and that its OPTIONS have no server_side_binding; then "
            "run: manage.py visualsearch_reconcile --fix"
        )
        return Finding("search", Verdict.WRONG, said, todo, source.name)
    said = f"{source}: PostgreSQL compares all {count} images in {_words(taken)}"
    if count < FEW and taken is not None:
        return Finding("search", Verdict.OK, f"{said}. With so few images that is right.", "", source.name)
    forced, _ = _timed(query, FORCED)
    said = f"{said}; by the index it takes {_words(forced)}."
    if taken is not None and (forced is None or taken <= max(QUICK_MS, TIMES * forced)):
        return Finding("search", Verdict.OK, f"{said} That is right.", "", source.name)
    todo = "Run in the database: ANALYZE; if that does not help, see docs/doctor.md, search."
    return Finding("search", Verdict.WRONG, said, todo, source.name)


def _plan(query: Nearest, settings: str) -> str:
    return query.by_graph().explained(settings)


def _timed(query: Nearest, settings: str) -> tuple[float | None, int]:
    """The best of some times in milliseconds, None where one took longer than LONGEST; and how many images it found."""
    times, found = [], 0
    limit = f"SET LOCAL statement_timeout = {LONGEST * 1000:d}; "
    try:
        for _ in range(TRIES):
            start = time.perf_counter()
            found = len(query.found(settings + limit))
            times.append((time.perf_counter() - start) * 1000)
    except OperationalError:  # the server cancelled it
        return None, 0
    return min(times), found


def _words(milliseconds: float | None) -> str:
    return f"more than {LONGEST} s" if milliseconds is None else f"{milliseconds:.0f} ms"
