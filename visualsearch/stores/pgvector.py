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
from django.db import connection, connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast
from pgvector.psycopg.vector import register_vector_info
from psycopg.types import TypeInfo

from visualsearch.conf import conf
from visualsearch.encoders.base import Vectors
from visualsearch.exceptions import StoreError
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.statements import binds_on_server, settings_for
from visualsearch.stores import graphs
from visualsearch.stores.base import Condition, Neighbour, Store, in_order
from visualsearch.stores.graphs import distance
from visualsearch.stores.graphs import hnsw_name as hnsw_name

MINIMUM_VERSION = (0, 8)
MAX_EF_SEARCH = 1000  # pgvector's own limit
OVERSAMPLING = 4  # rows that the graph is asked for, for each one wanted: it orders them by half-precision distances
WIDE_OVERSAMPLING = 40  # the same where products have so many images that the first rows name too few of them
# The same for a graph of bits, whose order is rougher. Measured with real features spread over 4,096 dimensions: see
# docs/index-versions.md.
BITS_OVERSAMPLING = 20
WIDE_BITS_OVERSAMPLING = 100
# Identical pictures, such as hundreds of one placeholder, link to each other alone in the graph: a walk that
# comes among them ends there, however far they are from the query. Measured with 1,000 of 4,000: 7% of all searches.
# So many rows of one distance, and not the query's own, are not believed.
CROWD, SPREAD = 40, 1e-3
UNIT_TOLERANCE = 1e-3  # vectors are written in single precision, whose rounding is a thousand times smaller
STEP = 5_000  # rows whose vectors are looked at in one statement
PLAIN: dict[Any, Any] = {
    models.AutoField: models.IntegerField,
    models.BigAutoField: models.BigIntegerField,
    models.SmallAutoField: models.SmallIntegerField,
}
# What the planner is to think that a page of the graph costs. It does not know that one distance costs as much as
# reading several pages: at the default of 4 it compares thousands of rows where the graph is quicker. Measured at
# 90,000 images, where both take as long between 1% and 2% of them: at 2 it changes over there, at 1.1 below 1%.
PAGE_COST = 2


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
        exact: bool = False,
    ) -> list[Neighbour]:
        # The function that makes bits is there with the graph, and not before.
        exact = exact or (graphs.is_quantised(index) and not self.is_prepared(index))
        try:
            query = nearest_images(index, vector, eligible, limit, distinct=distinct, exact=exact)
        except EmptyResultSet:  # Django knows that nothing is eligible, as after none()
            return []
        if related:
            query = query.select_related(*related)
        with settings_for(connections[query.db], search_settings()):
            found = [Neighbour(image, image.visualsearch_distance) for image in query]
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


def search_settings() -> str:
    """Statements that set the search up, for the transaction that they travel with."""
    ef_search = min(max(int(conf.EF_SEARCH), 1), MAX_EF_SEARCH)
    return (
        f"SET LOCAL hnsw.ef_search = {ef_search}; SET LOCAL hnsw.iterative_scan = relaxed_order;"
        f" SET LOCAL random_page_cost = {PAGE_COST}; "
    )


def nearest_images(
    index: VisualIndex,
    vector: Sequence[float],
    eligible: models.QuerySet[Any],
    limit: int,
    *,
    distinct: str | None = None,
    exact: bool = False,
) -> models.QuerySet[Any]:
    """The eligible images nearest to the vector, unordered, each with its ``visualsearch_distance``.

    One statement with three ways, of which PostgreSQL starts the next only where the one before left the page short.
    ``near`` walks the graph and stops after a few rows for each one wanted. ``wide`` walks it further, where a few
    products with many images own all those rows. ``every`` compares all eligible rows, where the walk gave up under a
    narrow filter or was caught in a crowd of identical pictures. A graph of bits is walked along the number of those
    that differ; the page is of the exact distance.
    """
    model = eligible.model
    eligible = eligible.select_related(None).order_by()
    measure = distance(index, vector)
    bits = graphs.is_quantised(index) and not exact
    along = graphs.bits_apart(index, vector) if bits else measure
    walk, walk_params = _compiled(_walk(index, measure, along, eligible))
    every, every_params = _compiled(_every(index, measure, eligible))
    few, many = max(limit * OVERSAMPLING, CROWD), limit * WIDE_OVERSAMPLING if distinct else 0
    if bits:
        few, many = max(limit * BITS_OVERSAMPLING, CROWD), limit * WIDE_BITS_OVERSAMPLING if distinct else 0
    if exact:
        few = many = 0  # nothing from the graph
    sql = _page_sql(walk, every, model, distinct)
    params = [*walk_params, few, limit, limit, *walk_params, many, few, limit, limit, *every_params, limit]
    own = rows(index, object_id=Cast(models.OuterRef("pk"), models.CharField()))
    images: models.QuerySet[Any] = model._default_manager.filter(pk__in=RawSQL(sql, params)).order_by()
    nearest: models.QuerySet[Any] = images.annotate(visualsearch_distance=models.Subquery(own.values(d=measure)))
    return nearest


def _page_sql(walk: str, every: str, model: type[models.Model], distinct: str | None) -> str:
    """Keys of the page. Parameters: those of the walk, few, limit, limit; of the walk, many, few, limit, limit; of
    every, limit."""
    return (
        f"WITH near AS MATERIALIZED ({walk} LIMIT %s),"
        f" page AS MATERIALIZED (SELECT key FROM ({_best_of_few('near', model, distinct)}) b"
        " ORDER BY distance, key LIMIT %s),"
        f" caught AS MATERIALIZED (SELECT {_is_crowd('near')} AS in_crowd),"
        " filled AS MATERIALIZED (SELECT count(*) >= %s AND NOT (SELECT in_crowd FROM caught) AS is_full FROM page),"
        f" wide AS MATERIALIZED (SELECT * FROM ({walk} LIMIT %s) w WHERE NOT (SELECT is_full FROM filled)"
        " AND (SELECT count(*) >= %s FROM near) AND NOT (SELECT in_crowd FROM caught)),"
        f" wide_page AS MATERIALIZED (SELECT key FROM ({_best_of_few('wide', model, distinct)}) b"
        " ORDER BY distance, key LIMIT %s),"
        f" wide_filled AS MATERIALIZED (SELECT count(*) >= %s AND NOT {_is_crowd('wide')} AS is_full FROM wide_page),"
        f" every AS (SELECT * FROM ({every}) e WHERE NOT (SELECT is_full FROM filled)"
        " AND NOT (SELECT is_full FROM wide_filled))"
        " SELECT key FROM page WHERE (SELECT is_full FROM filled)"
        " UNION ALL SELECT key FROM wide_page WHERE (SELECT is_full FROM wide_filled) UNION ALL"
        f" (SELECT key FROM ({_best_of_many(model, distinct)}) b ORDER BY distance, key LIMIT %s)"
    )


def _is_crowd(rows: str) -> str:
    """SQL: whether the walk found one spot and nothing else, which is not where the query is."""
    return (
        f"(SELECT count(*) >= {CROWD} AND max(distance) - min(distance) < {SPREAD} AND min(distance) > {SPREAD}"
        f" FROM {rows})"
    )


def _walk(index: VisualIndex, measure: Any, along: Any, eligible: models.QuerySet[Any]) -> models.QuerySet[Any]:
    key = _plain(eligible.model._meta.pk)
    shown = models.Exists(eligible.filter(pk=Cast(models.OuterRef("object_id"), output_field=key)))
    found = _keyed(rows(index, vector__isnull=False).filter(shown), key, measure)
    return found.order_by("distance" if along is measure else along)


def _every(index: VisualIndex, measure: Any, eligible: models.QuerySet[Any]) -> models.QuerySet[Any]:
    # As text, so that a few eligible images are looked up one by one in the unique index of the rows.
    shown = eligible.annotate(visualsearch_key=Cast("pk", models.CharField())).values("visualsearch_key")
    key = _plain(eligible.model._meta.pk)
    # Adding nothing to the distance hides it from the HNSW index.
    return _keyed(rows(index, vector__isnull=False, object_id__in=shown), key, measure + models.Value(0.0))


def _keyed(found: models.QuerySet[Any], key: models.Field[Any, Any], measure: Any) -> models.QuerySet[Any]:
    keyed: models.QuerySet[Any] = found.annotate(key=Cast("object_id", output_field=key), distance=measure)
    return keyed.values("key", "distance")


def _best_of_few(rows: str, model: type[models.Model], distinct: str | None) -> str:
    """SQL over ``near`` or ``wide``: as it is, or the nearest of each value of the field, looked up row by row."""
    if distinct is None:
        return f"SELECT key, distance FROM {rows}"
    table, pk, group = _columns(model, distinct)
    return (
        "SELECT DISTINCT ON (item) key, distance FROM"
        f" (SELECT n.*, (SELECT i.{group} FROM {table} i WHERE i.{pk} = n.key) AS item FROM {rows} n) grouped"
        " ORDER BY item, distance, key"
    )


def _best_of_many(model: type[models.Model], distinct: str | None) -> str:
    """The same over ``every``, by a join."""
    if distinct is None:
        return "SELECT key, distance FROM every"
    table, pk, group = _columns(model, distinct)
    return (
        f"SELECT DISTINCT ON (i.{group}) every.key, every.distance FROM every JOIN {table} i ON i.{pk} = every.key"
        f" ORDER BY i.{group}, every.distance, every.key"
    )


def _columns(model: type[models.Model], field: str) -> tuple[str, str, str]:
    quote = connection.ops.quote_name
    grouped: Any = model._meta.get_field(field)
    pk: Any = model._meta.pk
    return quote(model._meta.db_table), quote(pk.column), quote(grouped.column)


def _compiled(query: models.QuerySet[Any]) -> tuple[str, tuple[Any, ...]]:
    return query.query.sql_with_params()


def _plain(field: Any) -> models.Field[Any, Any]:
    """A field of the primary key's own type, without its automatic or related side, for a cast."""
    while (target := getattr(field, "target_field", None)) is not None:
        field = target
    plain: Any = PLAIN.get(type(field), type(field))
    made: models.Field[Any, Any] = (
        plain(max_length=field.max_length) if isinstance(field, models.CharField) else plain()
    )
    return made


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
