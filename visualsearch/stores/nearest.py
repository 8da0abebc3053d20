"""The statement that finds the nearest images: three ways to a full page, each taken where the one before falls short.

It is put together as text around the SQL of the eligible images, which stands in it several times and is compiled once;
made of expressions, it took as long to compile as PostgreSQL takes to run it. All ways take the query's vector from the
front of the statement: a scan of the graph takes it from there as it would take a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connections, models
from django.db.models.expressions import RawSQL

from visualsearch.conf import conf
from visualsearch.models import VisualIndex
from visualsearch.stores import graphs

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
PLAIN: dict[Any, Any] = {
    models.AutoField: models.IntegerField,
    models.BigAutoField: models.BigIntegerField,
    models.SmallAutoField: models.SmallIntegerField,
}
# What the planner is to think that a page of the graph costs. It does not know that one distance costs as much as
# reading several pages: at the default of 4 it compares thousands of rows where the graph is quicker. Measured at
# 90,000 images, where both take as long between 1% and 2% of them: at 2 it changes over there, at 1.1 below 1%.
PAGE_COST = 2
QUERY = "(SELECT vector FROM query)"


class Eligible(NamedTuple):
    """SQL for the keys of the eligible images, and the SQL type of these keys."""

    sql: str
    params: tuple[Any, ...]
    key_type: str


def eligible_keys(images: models.QuerySet[Any]) -> Eligible:
    """Raises EmptyResultSet where Django knows that there are none, as after ``none()``."""
    keys = images.select_related(None).order_by().values("pk")
    sql, params = keys.query.sql_with_params()
    return Eligible(sql, params, _plain(images.model._meta.pk).cast_db_type(connections[images.db]) or "")


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
    without: Sequence[Any] = (),
    anchors: Sequence[str] = (),
    exact: bool = False,
) -> models.QuerySet[Any]:
    """The eligible images nearest to the vector, unordered, each with its ``visualsearch_distance``; see
    ``Store.search``.

    One statement with three ways, of which PostgreSQL starts the next only where the one before left the page short.
    ``near`` walks the graph and stops after a few rows for each one wanted. ``wide`` walks it further, where a few
    products with many images own all those rows. ``every`` compares all eligible rows, where the walk gave up under a
    narrow filter, was caught in a crowd of identical pictures, or never came to where the query is. A graph of bits is
    walked along the number of those that differ; the page is of the exact distance. Raises EmptyResultSet where Django
    knows that nothing is eligible.
    """
    model, shown = eligible.model, eligible_keys(eligible)
    bits = graphs.is_quantised(index) and not exact
    text = graphs.literal(vector) if bits else graphs.scaled(vector)
    near, wide = (BITS_OVERSAMPLING, WIDE_BITS_OVERSAMPLING) if bits else (OVERSAMPLING, WIDE_OVERSAMPLING)
    few, many = max(limit * near, CROWD), limit * wide if distinct else 0
    if exact:
        few = many = 0  # nothing from the graph
    walk = walk_sql(index, shown, QUERY, bits=bits)
    page = _Page(model, distinct, limit, without)
    first_of_near, first_of_wide, first_of_every = page.of_few("near"), page.of_few("wide"), page.of_many("every")
    lost = _lost(index, shown, anchors)
    sql, params = _joined(
        Piece(f"WITH query AS MATERIALIZED (SELECT %s::halfvec({index.dimensions:d}) AS vector),", (text,)),
        Piece(f" near AS MATERIALIZED ({walk} LIMIT %s),", (*shown.params, few)),
        Piece(f" page AS MATERIALIZED ({first_of_near.sql}),", first_of_near.params),
        Piece(f" astray AS MATERIALIZED (SELECT {_is_crowd('near')} OR {lost.sql} AS is_so),", lost.params),
        Piece(" filled AS MATERIALIZED (SELECT count(*) >= %s AND NOT (SELECT is_so FROM astray) AS is_so", (limit,)),
        Piece(" FROM page),"),
        Piece(f" wide AS MATERIALIZED (SELECT * FROM ({walk} LIMIT %s) w", (*shown.params, many)),
        Piece(" WHERE NOT (SELECT is_so FROM filled) AND (SELECT count(*) >= %s FROM near)", (few,)),
        Piece(" AND NOT (SELECT is_so FROM astray)),"),
        Piece(f" wide_page AS MATERIALIZED ({first_of_wide.sql}),", first_of_wide.params),
        Piece(f" wide_filled AS MATERIALIZED (SELECT count(*) >= %s AND NOT {_is_crowd('wide')} AS is_so", (limit,)),
        Piece(" FROM wide_page),"),
        Piece(f" every AS (SELECT * FROM ({every_sql(index, shown, QUERY)}) e", shown.params),
        Piece(" WHERE NOT (SELECT is_so FROM filled) AND NOT (SELECT is_so FROM wide_filled))"),
        Piece(" SELECT key FROM page WHERE (SELECT is_so FROM filled)"),
        Piece(" UNION ALL SELECT key FROM wide_page WHERE (SELECT is_so FROM wide_filled)"),
        Piece(f" UNION ALL ({first_of_every.sql})", first_of_every.params),
    )
    images: models.QuerySet[Any] = model._default_manager.filter(pk__in=RawSQL(sql, params)).order_by()
    nearest: models.QuerySet[Any] = images.annotate(visualsearch_distance=_distance_of("pk", index, text))
    return nearest


class Piece(NamedTuple):
    """Part of a statement, with its parameters."""

    sql: str
    params: tuple[Any, ...] = ()


def _joined(*pieces: Piece) -> tuple[str, list[Any]]:
    return "".join(piece.sql for piece in pieces), [one for piece in pieces for one in piece.params]


def _is_crowd(rows: str) -> str:
    """SQL: whether the walk found one spot and nothing else, which is not where the query is."""
    return (
        f"(SELECT count(*) >= {CROWD} AND max(distance) - min(distance) < {SPREAD} AND min(distance) > {SPREAD}"
        f" FROM {rows})"
    )


def _lost(index: VisualIndex, shown: Eligible, anchors: Sequence[str]) -> Piece:
    """SQL: whether the walk came by none of these images, though they are eligible and nearer than what it found.

    A few pictures that are like each other and like nothing else can be left without a way to them, as the pictures
    that are added later take their places among the neighbours of others. Measured on 10,000 parts of pictures: 5 of
    1,000 searches by a stored vector, and each of those that did not come by the vector itself; none in 4,000 on whole
    pictures, mirrored and cropped.
    """
    if not anchors:
        return Piece("false")
    keys = f"ANY(%s::{shown.key_type}[])"
    return Piece(
        f"(NOT EXISTS (SELECT FROM near WHERE key = {keys}) AND EXISTS (SELECT FROM ({shown.sql}) AS shown (key)"
        f" JOIN {graphs.TABLE} e ON e.index_id = {index.pk:d} AND e.object_id = shown.key::varchar WHERE"
        f" shown.key = {keys} AND {graphs.distance(index, 'e.vector', QUERY)} < (SELECT max(distance) FROM near)))",
        (list(anchors), *shown.params, list(anchors)),
    )


def walk_sql(index: VisualIndex, shown: Eligible, query: str, *, bits: bool = False) -> str:
    """Keys and distances of eligible images along the graph, nearest first; ``query`` is SQL for the vector asked for.

    The literal ``index_id`` is what lets the planner use that version's partial index.
    """
    key = f"e.object_id::{shown.key_type}"
    return (
        f"SELECT {key} AS key, {graphs.distance(index, 'e.vector', query)} AS distance FROM {graphs.TABLE} e"
        f" WHERE e.index_id = {index.pk:d} AND e.vector IS NOT NULL"
        f" AND EXISTS (SELECT FROM ({shown.sql}) AS shown (key) WHERE shown.key = {key})"
        f" ORDER BY {graphs.bits_apart(index, 'e.vector', query) if bits else 'distance'}"
    )


def every_sql(index: VisualIndex, shown: Eligible, query: str) -> str:
    """Keys and distances of all eligible images, in no order."""
    # As text, so that a few eligible images are looked up one by one in the unique index of the rows.
    # Adding nothing to the distance hides it from the HNSW index.
    return (
        f"SELECT e.object_id::{shown.key_type} AS key, {graphs.distance(index, 'e.vector', query)} + 0.0 AS distance"
        f" FROM {graphs.TABLE} e WHERE e.index_id = {index.pk:d} AND e.vector IS NOT NULL"
        f" AND e.object_id IN (SELECT shown.key::varchar FROM ({shown.sql}) AS shown (key))"
    )


def _distance_of(key: str, index: VisualIndex, text: str) -> models.Func:
    """The exact distance of an image's own row."""
    measured = graphs.distance(index, "e.vector", f"'{text}'")
    return models.Func(
        models.F(key),
        template=(
            f"(SELECT {measured} FROM {graphs.TABLE} e"
            f" WHERE e.index_id = {index.pk:d} AND e.object_id = (%(expressions)s)::varchar)"
        ),
        output_field=models.FloatField(),
    )


@dataclass(frozen=True)
class _Page:
    """The nearest rows, or with ``distinct`` the nearest of each value of that field, without some of these values."""

    model: type[models.Model]
    distinct: str | None
    limit: int
    without: Sequence[Any]

    def of_few(self, rows: str) -> Piece:
        """SQL for the keys of the page of ``near`` or ``wide``: their field is looked up row by row."""
        if self.distinct is None:
            return self._nearest(f"SELECT key, distance FROM {rows} WHERE {self._left('key')}")
        table, pk, group = columns(self.model, self.distinct)
        return self._nearest(
            "SELECT DISTINCT ON (item) key, distance FROM"
            f" (SELECT n.*, (SELECT i.{group} FROM {table} i WHERE i.{pk} = n.key) AS item FROM {rows} n) grouped"
            f" WHERE {self._left('item')} ORDER BY item, distance, key"
        )

    def of_many(self, rows: str) -> Piece:
        """The same of ``every``: their field comes by a join."""
        if self.distinct is None:
            return self.of_few(rows)
        table, pk, group = columns(self.model, self.distinct)
        return self._nearest(
            f"SELECT DISTINCT ON (i.{group}) every.key, every.distance FROM {rows} AS every"
            f" JOIN {table} i ON i.{pk} = every.key WHERE {self._left(f'i.{group}')}"
            f" ORDER BY i.{group}, every.distance, every.key"
        )

    def _nearest(self, best: str) -> Piece:
        sql = f"SELECT key FROM ({best}) b ORDER BY distance, key LIMIT %s"
        return Piece(sql, (self._values, self.limit) if self.without else (self.limit,))

    def _left(self, column: str) -> str:
        return f"{column} <> ALL(%s)" if self.without else "true"

    @cached_property
    def _values(self) -> list[Any]:
        field: Any = self.model._meta.get_field(self.distinct) if self.distinct else self.model._meta.pk
        connection = connections[self.model._default_manager.db]
        return [field.get_db_prep_value(value, connection) for value in self.without]


def columns(model: type[models.Model], field: str) -> tuple[str, str, str]:
    """Quoted: the model's table, its primary key's column and the field's."""
    quote = connections[model._default_manager.db].ops.quote_name
    grouped: Any = model._meta.get_field(field)
    pk: Any = model._meta.pk
    return quote(model._meta.db_table), quote(pk.column), quote(grouped.column)


def _plain(field: Any) -> models.Field[Any, Any]:
    """A field of the primary key's own type, without its automatic or related side, for a cast."""
    while (target := getattr(field, "target_field", None)) is not None:
        field = target
    plain: Any = PLAIN.get(type(field), type(field))
    made: models.Field[Any, Any] = (
        plain(max_length=field.max_length) if isinstance(field, models.CharField) else plain()
    )
    return made
