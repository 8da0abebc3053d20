"""The parts that search statements are put together from, as text.

The SQL of the eligible images stands in a statement several times and is compiled once; made of expressions, a
statement took as long to compile as PostgreSQL takes to run it. The query's vector stands at the front of a statement:
a scan of the graph takes it from there as it would take a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from django.db import connections, models

from visualsearch.keys import key_field
from visualsearch.models import VisualIndex
from visualsearch.stores import graphs

PLAIN: dict[Any, Any] = {
    models.AutoField: models.IntegerField,
    models.BigAutoField: models.BigIntegerField,
    models.SmallAutoField: models.SmallIntegerField,
}
QUERY = "(SELECT vector FROM query)"


class Piece(NamedTuple):
    """Part of a statement, with its parameters."""

    sql: str
    params: tuple[Any, ...] = ()


def joined(*pieces: Piece) -> Piece:
    return Piece("".join(piece.sql for piece in pieces), tuple(one for piece in pieces for one in piece.params))


class Eligible(NamedTuple):
    """SQL for the keys of the eligible images, and the SQL type of these keys."""

    sql: str
    params: tuple[Any, ...]
    key_type: str


def eligible_keys(images: models.QuerySet[Any]) -> Eligible:
    """Raises EmptyResultSet where Django knows that there are none, as after ``none()``."""
    keys = images.select_related(None).order_by().values("pk")
    sql, params = keys.query.sql_with_params()
    return Eligible(sql, params, _key_type(key_field(images.model), images.db))


def query_sql(index: VisualIndex, vector: Sequence[float], anchors: Sequence[str]) -> Piece:
    """SQL for the vector asked for: the mean direction of the stored ones of ``anchors``, which spares sending a
    thousand numbers, or without any the one that is given. Null where the anchors are there no more."""
    if anchors:
        return Piece(
            f"SELECT l2_normalize(avg(vector))::halfvec({index.dimensions:d}) AS vector FROM {graphs.TABLE}"
            f" WHERE index_id = {index.pk:d} AND object_id = ANY(%s)",
            (list(anchors),),
        )
    text = graphs.literal(vector) if graphs.is_quantised(index) else graphs.scaled(vector)
    return Piece(f"SELECT %s::halfvec({index.dimensions:d}) AS vector", (text,))


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


@dataclass(frozen=True)
class Top:
    """The nearest rows, or with ``distinct`` the nearest of each value of that field, without some of these values."""

    model: type[models.Model]
    distinct: str | None
    limit: int
    without: Sequence[Any]

    def of_few(self, rows: str) -> Piece:
        """SQL for the page of ``near`` or ``wide``, keys and distances: their field is looked up row by row, and once,
        for which OFFSET is there."""
        if self.distinct is None:
            return self._nearest(f"SELECT key, distance FROM {rows} WHERE {self._left('key')}")
        table, pk, group = columns(self.model, self.distinct)
        return self._nearest(
            "SELECT DISTINCT ON (item) key, distance FROM"
            f" (SELECT n.*, (SELECT i.{group} FROM {table} i WHERE i.{pk} = n.key) AS item FROM {rows} n OFFSET 0) g"
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
        sql = f"SELECT key, distance FROM ({best}) b ORDER BY distance, key LIMIT %s"
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


@cache
def _key_type(field: Any, alias: str) -> str:
    """The SQL type of a key, without its automatic side, for a cast."""
    plain: Any = PLAIN.get(type(field), type(field))
    made: models.Field[Any, Any] = (
        plain(max_length=field.max_length) if isinstance(field, models.CharField) else plain()
    )
    return made.cast_db_type(connections[alias]) or ""
