"""Vectors in PostgreSQL with pgvector: one table, a partial HNSW index for each version.

HNSW: Malkov and Yashunin, https://arxiv.org/abs/1603.09320. Iterative scans, which go on through the graph until enough
rows pass the filter: https://github.com/pgvector/pgvector#iterative-index-scans (pgvector 0.8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import EmptyResultSet
from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from pgvector.psycopg.vector import register_vector_info
from psycopg.types import TypeInfo

from visualsearch.encoders.base import Vectors
from visualsearch.exceptions import StoreError
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.statements import binds_on_server
from visualsearch.stores import graphs
from visualsearch.stores.base import Condition, Neighbour, Store, in_order
from visualsearch.stores.graphs import hnsw_name as hnsw_name
from visualsearch.stores.nearest import Nearest

MINIMUM_VERSION = (0, 8)
UNIT_TOLERANCE = 1e-3  # vectors are written in single precision, whose rounding is a thousand times smaller
STEP = 5_000  # rows whose vectors are looked at in one statement

# A comparison with NaN is false, so vectors that are not finite are found too.
UNFIT = f"""
    WITH step AS (
        SELECT id, object_id, vector FROM {ImageEmbedding._meta.db_table}
        WHERE index_id = %s AND id > %s ORDER BY id LIMIT %s
    ), unfit AS (
        SELECT object_id, vector_dims(vector) AS dimensions, vector_norm(vector) AS length FROM step
        WHERE vector_dims(vector) <> %s OR NOT abs(vector_norm(vector) - 1) <= %s
    )
    SELECT max(id), (SELECT array_agg(object_id) FROM unfit), (SELECT array_agg(dimensions) FROM unfit),
        (SELECT array_agg(length) FROM unfit) FROM step
"""


class PgVectorStore(Store):
    """The default store. ``search`` is one round trip: the settings and the query travel together."""

    def prepare(self, index: VisualIndex) -> None:
        graphs.build(index)

    def is_prepared(self, index: VisualIndex) -> bool:
        return graphs.condition(index) is Condition.READY

    def condition(self, index: VisualIndex) -> Condition:
        return graphs.condition(index)

    def drop(self, index: VisualIndex) -> None:
        graphs.drop(index)

    def leftovers(self) -> list[str]:
        return graphs.leftovers()

    def drop_leftovers(self) -> list[str]:
        return graphs.drop_leftovers()

    def upsert(self, index: VisualIndex, ids: Sequence[str], vectors: Vectors) -> None:
        if not len(ids):
            return
        table = ImageEmbedding._meta.db_table
        connection = connections[router.db_for_write(ImageEmbedding)]
        connection.ensure_connection()
        # Vectors travel in pgvector's binary form, which costs a tenth of writing and parsing 1,280 decimals each.
        with psycopg.Cursor(connection.connection) as cursor:
            register_vector_info(cursor, _vector_type(connection))  # type: ignore[arg-type]
            try:
                cursor.execute(
                    f"UPDATE {table} SET vector = new.vector"
                    " FROM unnest(%s::text[], %b) AS new (object_id, vector)"
                    f" WHERE {table}.index_id = %s AND {table}.object_id = new.object_id",
                    [list(ids), list(vectors), index.pk],
                )
            except psycopg.DataError as error:  # values that are not finite, or a graph of other dimensions
                raise StoreError(f"The vectors cannot be stored: {error.diag.message_primary}.") from error

    def vectors(self, index: VisualIndex, ids: Sequence[str]) -> Vectors:
        connection = connections[router.db_for_write(ImageEmbedding)]
        connection.ensure_connection()
        # In binary as well: two lengths of 16 bits, then the numbers. Parsing them from text takes 1 ms a vector.
        with psycopg.Cursor(connection.connection) as cursor:
            cursor.execute(
                f"SELECT object_id, vector_send(vector) FROM {ImageEmbedding._meta.db_table}"
                " WHERE index_id = %s AND object_id = ANY(%s) AND vector IS NOT NULL",
                [index.pk, list(ids)],
                binary=True,
            )
            return in_order(index, ids, {pk: np.frombuffer(content, ">f4", offset=4) for pk, content in cursor})

    def delete(self, index: VisualIndex, ids: Sequence[str]) -> None:
        rows(index, object_id__in=ids).delete()

    def search(
        self,
        index: VisualIndex,
        vector: Sequence[float],
        eligible: models.QuerySet[Any],
        limit: int,
        *,
        distinct: str | None = None,
        related: Sequence[str] = (),
        without: Sequence[Any] = (),
        anchors: Sequence[str] = (),
        exact: bool = False,
    ) -> list[Neighbour]:
        # The function that makes bits is there with the graph, and not before.
        exact = exact or (graphs.is_quantised(index) and not self.is_prepared(index))
        try:
            nearest = Nearest(index, vector, eligible, limit, distinct, related, without, anchors, exact)
        except EmptyResultSet:  # Django knows that nothing is eligible, as after none()
            return []
        found = [Neighbour(image, image.visualsearch_distance) for image in nearest.found()]
        return sorted(found, key=lambda neighbour: (neighbour.distance, str(neighbour.image.pk)))

    def unfit(self, index: VisualIndex) -> Iterator[tuple[str, str]]:
        last: int | None = 0
        while last is not None:
            with connections[router.db_for_read(ImageEmbedding)].cursor() as cursor:
                cursor.execute(UNFIT, [index.pk, last, STEP, index.dimensions, UNIT_TOLERANCE])
                last, *found = cursor.fetchone()
            for object_id, dimensions, length in zip(*(column or () for column in found), strict=True):
                wrong = dimensions != index.dimensions
                yield object_id, f"{dimensions} dimensions" if wrong else f"length {length:.4g}"

    def check(self) -> Iterator[CheckMessage]:
        yield from check_connection(connections[router.db_for_read(ImageEmbedding)])


def _vector_type(connection: BaseDatabaseWrapper) -> TypeInfo:
    raw = connection.connection
    known = getattr(raw, "_visualsearch_vector_type", None)
    if known is None:
        with psycopg.Cursor(raw) as cursor:
            cursor.execute("SELECT oid, typarray FROM pg_type WHERE oid = to_regtype('vector')")
            row = cursor.fetchone()
        if row is None:
            raise StoreError("The database has no type named vector: the pgvector extension is missing.")
        known = raw._visualsearch_vector_type = TypeInfo("vector", *row)
    return known


def check_connection(connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    """Extension missing or too old; a binding mode that defeats the partial index."""
    if connection.vendor != "postgresql":
        yield Error(
            f"visualsearch needs PostgreSQL with pgvector; database {connection.alias!r} is {connection.vendor}.",
            hint="Use django.db.backends.postgresql, or a STORE of your own.",
            id="visualsearch.E010",
        )
        return
    if binds_on_server(connection):
        yield Warning(
            "server_side_binding is on: searches may not use the index of their version.",
            hint="Remove server_side_binding from the database's OPTIONS.",
            id="visualsearch.W013",
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'vector'")
        row = cursor.fetchone()
    if row is None:
        yield Error(
            "The PostgreSQL server has no pgvector.",
            hint="Install it on the server, e.g. apt-get install postgresql-17-pgvector, or use an image that has it "
            "(pgvector/pgvector:pg17).",
            id="visualsearch.E011",
        )
    elif tuple(map(int, (row[1] or row[0]).split(".")[:2])) < MINIMUM_VERSION:
        yield Error(
            f"pgvector {row[1] or row[0]} is too old; 0.8 or newer is needed.",
            hint="Upgrade it on the server, then run: ALTER EXTENSION vector UPDATE;",
            id="visualsearch.E012",
        )
