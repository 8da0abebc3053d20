"""Several vectors asked of an index version at once: in PostgreSQL one statement, so one round trip and one plan."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections, models

from visualsearch.encoders.base import Vectors
from visualsearch.models import VisualIndex
from visualsearch.statements import settings_for
from visualsearch.stores import get_store
from visualsearch.stores.graphs import is_quantised, scaled
from visualsearch.stores.nearest import search_settings
from visualsearch.stores.pgvector import PgVectorStore
from visualsearch.stores.pieces import columns, eligible_keys, every_sql, walk_sql

# Candidates that the graph is asked for by each of the vectors: they choose among parts of a picture, and what is then
# shown is searched for in full.
EF_SEARCH = 20


class Near(NamedTuple):
    """An image near one of the vectors: its key, its product's key, and the cosine distance."""

    image: Any
    product: Any
    distance: float


def nearest_of_each(
    index: VisualIndex, vectors: Vectors, eligible: models.QuerySet[Any], limit: int, *, distinct: str | None = None
) -> list[list[Near]]:
    """For each of the vectors, float32 (n, dimensions), its ``limit`` nearest eligible images, nearest first.

    ``eligible`` is a queryset of the source's images, ``distinct`` the field of it that is the product. An image is not
    left out for being of the same product as another. One statement; a second one that compares every eligible
    image where the graph gave some vector fewer than asked, as it does under a narrow filter.
    """
    if not len(vectors):
        return []
    store = get_store()
    if not isinstance(store, PgVectorStore) or is_quantised(index):
        return [_searched(index, vector, eligible, limit, distinct) for vector in vectors]
    try:
        found = _asked(index, vectors, eligible, limit, distinct, exact=False)
        if min(map(len, found)) < limit:
            found = _asked(index, vectors, eligible, limit, distinct, exact=True)
    except EmptyResultSet:  # Django knows that nothing is eligible, as after none()
        return [[] for _ in vectors]
    return found


def _asked(
    index: VisualIndex,
    vectors: Vectors,
    eligible: models.QuerySet[Any],
    limit: int,
    distinct: str | None,
    *,
    exact: bool,
) -> list[list[Near]]:
    shown = eligible_keys(eligible)
    every = f"{every_sql(index, shown, 'asked.vector')} ORDER BY distance"
    sql = every if exact else walk_sql(index, shown, "asked.vector")
    product = "key"
    if distinct is not None:
        table, pk, group = columns(eligible.model, distinct)
        product = f"(SELECT i.{group} FROM {table} i WHERE i.{pk} = near.key)"
    values = ", ".join([f"(%s, %s::halfvec({index.dimensions:d}))"] * len(vectors))
    statement = (
        f"SELECT asked.number, near.key, {product}, near.distance FROM (VALUES {values}) AS asked (number, vector)"
        f" CROSS JOIN LATERAL ({sql} LIMIT %s) AS near"
    )
    asked = [part for number, row in enumerate(vectors) for part in (number, scaled(row))]
    found: list[list[Near]] = [[] for _ in vectors]
    connection = connections[eligible.db]
    settings = f"{search_settings()}SET LOCAL hnsw.ef_search = {max(EF_SEARCH, min(2 * limit, 1000)):d}; "
    with settings_for(connection, settings), connection.cursor() as cursor:
        cursor.execute(statement, [*asked, *shown.params, limit])
        for number, key, product_key, distance in cursor.fetchall():
            found[number].append(Near(key, product_key, float(distance)))
    return [sorted(rows, key=lambda near: (near.distance, str(near.image))) for rows in found]


def _searched(
    index: VisualIndex, vector: Any, eligible: models.QuerySet[Any], limit: int, distinct: str | None
) -> list[Near]:
    """By the store's own search, one vector at a time."""
    found = get_store().search(index, vector.tolist(), eligible, limit)
    attribute = "pk" if distinct is None else eligible.model._meta.get_field(distinct).attname
    return [Near(one.image.pk, getattr(one.image, attribute), one.distance) for one in found]
