"""How the nearest images are found: by a walk of the graph, and where that is not enough, by what finds them surely.

Nearly every search is one statement. It walks the graph and stops after a few rows for each one wanted; where the walk
came to its end before, as under a narrow filter, PostgreSQL goes on in the same statement and compares all eligible
images. What that leaves takes a second statement: products with so many images that the first rows name too few of
them, and walks that led astray.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import connections, models
from django.db.models.expressions import RawSQL

from visualsearch.conf import conf
from visualsearch.models import VisualIndex
from visualsearch.statements import settings_for
from visualsearch.stores import graphs
from visualsearch.stores.pieces import (
    QUERY,
    Eligible,
    Piece,
    Top,
    eligible_keys,
    every_sql,
    joined,
    query_sql,
    walk_sql,
)

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
IS_CROWD = f"(count(*) >= {CROWD} AND max(distance) - min(distance) < {SPREAD} AND min(distance) > {SPREAD})"
# What the planner is to think that a page of the graph costs. It does not know that one distance costs as much as
# reading several pages: at the default of 4 it compares thousands of rows where the graph is quicker. Measured at
# 90,000 images, where both take as long between 1% and 2% of them: at 2 it changes over there, at 1.1 below 1%.
PAGE_COST = 2


class Walk(StrEnum):
    """How far the first statement's answer can be believed."""

    SURE = "sure"
    UNMET = "unmet"  # the page is full, but the walk came by none of the images that the vector is made of
    SHORT = "short"  # the page is not full, and there is more along the graph
    ASTRAY = "astray"  # it was caught in a crowd, or had nothing to go by


def search_settings() -> str:
    """Statements that set the search up, for the transaction that they travel with."""
    ef_search = min(max(int(conf.EF_SEARCH), 1), MAX_EF_SEARCH)
    return (
        f"SET LOCAL hnsw.ef_search = {ef_search}; SET LOCAL hnsw.iterative_scan = relaxed_order;"
        f" SET LOCAL random_page_cost = {PAGE_COST}; "
    )


@dataclass(frozen=True)
class Statement:
    """``images`` are those whose keys and distances ``ways`` finds, unordered, each with its
    ``visualsearch_distance``."""

    images: models.QuerySet[Any]
    ways: Piece

    def fetched(self, settings: str = "") -> list[Any]:
        """One round trip: ``settings``, ``SET LOCAL`` statements that each end in ``; ``, and the query together."""
        connection = connections[self.images.db]
        with settings_for(connection, search_settings() + settings, *self.ways):
            return list(self.images.all())

    def explained(self, settings: str = "", *, analyze: bool = False) -> str:
        """PostgreSQL's plan of it."""
        connection, (sql, params) = connections[self.images.db], self.images.query.sql_with_params()
        explain = "EXPLAIN (ANALYZE) " if analyze else "EXPLAIN "
        with settings_for(connection, search_settings() + settings), connection.cursor() as cursor:
            cursor.execute(explain + self.ways.sql + sql, (*self.ways.params, *params))
            return "\n".join(line for (line,) in cursor.fetchall())


@dataclass(frozen=True)
class Nearest:
    """A search for the eligible images nearest to the vector; its parts are those of ``Store.search``.

    Raises EmptyResultSet where Django knows that nothing is eligible.
    """

    index: VisualIndex
    vector: Sequence[float]
    eligible: models.QuerySet[Any]
    limit: int
    distinct: str | None = None
    related: Sequence[str] = ()
    without: Sequence[Any] = ()
    anchors: Sequence[str] = ()
    exact: bool = False
    shown: Eligible = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", eligible_keys(self.eligible))

    def found(self, settings: str = "") -> list[Any]:
        """The images, unordered."""
        if self.exact:
            return self.by_other_ways().fetched(settings)
        images = self.by_graph().fetched(settings)
        walk = images[0].visualsearch_walk if images else Walk.SHORT
        if walk == Walk.UNMET and self._is_lost(images[0].visualsearch_reach):
            walk = Walk.ASTRAY
        if walk in (Walk.SURE, Walk.UNMET):
            return images
        return self.by_other_ways(wide=walk == Walk.SHORT).fetched(settings)

    def by_graph(self) -> Statement:
        """The first statement. Each image says in ``visualsearch_walk`` what the walk was like, and in
        ``visualsearch_reach`` how far from the query it came.

        A graph of bits is walked along the number of those that differ; the page is of the exact distance.
        """
        bits = graphs.is_quantised(self.index)
        few = max(self.limit * (BITS_OVERSAMPLING if bits else OVERSAMPLING), CROWD)
        page, rest = self._top.of_few("near"), self._top.of_many("every")
        query = query_sql(self.index, self.vector, self.anchors)
        met = f"EXISTS (SELECT FROM near WHERE key = {self._any_anchor})" if self.anchors else "true"
        return self._statement(
            Piece(f"WITH query AS MATERIALIZED ({query.sql}),", query.params),
            Piece(f" near AS MATERIALIZED ({walk_sql(self.index, self.shown, QUERY, bits=bits)}", self.shown.params),
            Piece(" LIMIT %s),", (few,)),
            Piece(f" page AS MATERIALIZED ({page.sql}),", page.params),
            Piece(" walk AS MATERIALIZED (SELECT count(*) >= %s AS goes_on, max(distance) AS reach,", (few,)),
            Piece(f" {IS_CROWD} AS is_crowd, (SELECT count(*) >= %s FROM page) AS is_full FROM near),", (self.limit,)),
            Piece(f" every AS (SELECT * FROM ({every_sql(self.index, self.shown, QUERY)}) e", self.shown.params),
            Piece(" WHERE (SELECT NOT is_full AND NOT goes_on FROM walk)),"),
            Piece(" found AS MATERIALIZED (SELECT * FROM page WHERE (SELECT is_full OR goes_on FROM walk)"),
            Piece(f" UNION ALL ({rest.sql})),", rest.params),
            Piece(f" verdict AS MATERIALIZED (SELECT reach, CASE WHEN {QUERY} IS NULL THEN '{Walk.ASTRAY}'"),
            Piece(f" WHEN NOT is_full AND NOT goes_on THEN '{Walk.SURE}' WHEN is_crowd THEN '{Walk.ASTRAY}'"),
            Piece(f" WHEN NOT is_full THEN '{Walk.SHORT}' WHEN {met} THEN '{Walk.SURE}'"),
            Piece(f" ELSE '{Walk.UNMET}' END AS walk FROM walk) ", (list(self.anchors),) if self.anchors else ()),
            visualsearch_walk=RawSQL("(SELECT walk FROM verdict)", (), models.CharField()),
            visualsearch_reach=RawSQL("(SELECT reach FROM verdict)", (), models.FloatField()),
        )

    def by_other_ways(self, *, wide: bool = False) -> Statement:
        """The second: with ``wide`` a longer walk; without, and where that is not enough, all eligible images."""
        bits = graphs.is_quantised(self.index) and wide
        many = self.limit * (WIDE_BITS_OVERSAMPLING if bits else WIDE_OVERSAMPLING) if wide and self.distinct else 0
        page, rest = self._top.of_few("wide"), self._top.of_many("every")
        query = query_sql(self.index, self.vector, ())
        return self._statement(
            Piece(f"WITH query AS MATERIALIZED ({query.sql}),", query.params),
            Piece(f" wide AS MATERIALIZED ({walk_sql(self.index, self.shown, QUERY, bits=bits)}", self.shown.params),
            Piece(" LIMIT %s),", (many,)),
            Piece(f" page AS MATERIALIZED ({page.sql}),", page.params),
            Piece(f" walk AS MATERIALIZED (SELECT NOT {IS_CROWD} AND (SELECT count(*) >= %s FROM page)", (self.limit,)),
            Piece(" AS is_enough FROM wide),"),
            Piece(f" every AS (SELECT * FROM ({every_sql(self.index, self.shown, QUERY)}) e", self.shown.params),
            Piece(" WHERE NOT (SELECT is_enough FROM walk)),"),
            Piece(" found AS MATERIALIZED (SELECT * FROM page WHERE (SELECT is_enough FROM walk)"),
            Piece(f" UNION ALL ({rest.sql})) ", rest.params),
        )

    def _statement(self, *pieces: Piece, **besides: Any) -> Statement:
        images = self.eligible.model._default_manager.using(self.eligible.db).order_by()
        distance = models.Func(
            models.F("pk"),
            template="(SELECT distance FROM found WHERE key = %(expressions)s)",
            output_field=models.FloatField(),
        )
        found = images.filter(pk__in=RawSQL("SELECT key FROM found", ()))
        measured = found.annotate(visualsearch_distance=distance, **besides)
        return Statement(measured.select_related(*self.related) if self.related else measured, joined(*pieces))

    def _is_lost(self, reach: float) -> bool:
        """Whether images that the vector is made of are eligible, and nearer than a walk came that passed none of them.

        A few pictures that are like each other and like nothing else can be left without a way to them, as the pictures
        that are added later take their places among the neighbours of others. Measured on 10,000 parts of pictures: 5
        of 1,000 searches by a stored vector, and each of those that did not come by the vector itself; none in 4,000 on
        whole pictures, mirrored and cropped.
        """
        query = query_sql(self.index, self.vector, self.anchors)
        with connections[self.eligible.db].cursor() as cursor:
            cursor.execute(
                f"WITH query AS MATERIALIZED ({query.sql}) SELECT EXISTS (SELECT FROM ({self.shown.sql}) AS shown (key)"
                f" JOIN {graphs.TABLE} e ON e.index_id = {self.index.pk:d} AND e.object_id = shown.key::varchar"
                f" WHERE shown.key = {self._any_anchor} AND {graphs.distance(self.index, 'e.vector', QUERY)} < %s)",
                (*query.params, *self.shown.params, list(self.anchors), reach),
            )
            return bool(cursor.fetchone()[0])

    @property
    def _any_anchor(self) -> str:
        return f"ANY(%s::{self.shown.key_type}[])"

    @property
    def _top(self) -> Top:
        return Top(self.eligible.model, self.distinct, self.limit, self.without)
