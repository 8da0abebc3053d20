"""From a query to a page: the nearest products, tier by tier, until the page is full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from django.db import models

from visualsearch.calibration import DIGITS, Calibration
from visualsearch.encoders.base import Vectors
from visualsearch.search.fields import values_of
from visualsearch.search.options import Options
from visualsearch.search.paging import TIERS, Place, Position, mark
from visualsearch.search.queries import Query
from visualsearch.search.ranking import folded, various
from visualsearch.search.sameness import same_within
from visualsearch.sources import ImageSource
from visualsearch.stores import Neighbour, get_store
from visualsearch.stores.vectors import vectors_of

MOST = TIERS[-1]  # results that a list is paged through


@dataclass(frozen=True)
class Found:
    """A product's image nearest to the query; ``key`` is the image's, as text."""

    image: Any
    key: str
    product: Any  # key
    distance: float
    score: float | None
    folded: int | None = None
    group: Any = None

    @property
    def place(self) -> Place:
        return Place(self.distance, self.key)


class Tier(NamedTuple):
    """What one tier adds to those before it, nearest first. ``full``: there may be more beyond."""

    number: int
    found: list[Found]
    full: bool


@dataclass(frozen=True)
class Page:
    """What is shown of a position, how many of the page were cut, and the position of what follows.

    ``nearest`` are the results nearest to the query, whatever is shown of them. ``loaded``: the images that are shown
    have their relations.
    """

    shown: list[Found]
    nearest: Sequence[Found]
    cut: int = 0
    following: Position | None = None
    loaded: bool = False


@dataclass
class Walk:
    """One search: the query, where it looks, and what earlier tiers have used up."""

    source: ImageSource
    query: Query
    eligible: models.QuerySet[Any]
    options: Options
    calibration: Calibration | None
    groups: set[Any] = field(default_factory=set)
    leaders: dict[str, Vectors] = field(default_factory=dict)  # of images that others are folded into

    def nearest(self, depth: int, *, related: bool = False) -> list[Found]:
        """The best image of each of the nearest products. One query."""
        product = self.source.product_field
        names = (*([product] if product else []), *self.source.related) if related else ()
        neighbours = get_store().search(
            self.query.index,
            self.query.vector.tolist(),
            self.eligible,
            depth,
            distinct=product,
            related=names,
            without=self.query.excluded,
            anchors=self.query.anchors,
        )
        scores = self._scores(neighbours)
        return [
            Found(image, str(image.pk), self.source.product_pk_of(image), distance, score)
            for (image, distance), score in zip(neighbours, scores, strict=True)
        ]

    def first(self) -> Page:
        """The ``limit`` nearest: one query, and no more looked at than is shown."""
        found = self.nearest(self.options.limit, related=True)
        shown = [one for one in found if self._passes(one)]
        return Page(shown, found, len(found) - len(shown), loaded=True)

    def page(self, start: Position) -> Page:
        """The page that begins at this position."""
        shown: list[Found] = []
        nearest: list[Found] = []
        position = start
        for tier in self._tiers(start):
            nearest = nearest or tier.found
            passing = [one for one in tier.found if self._passes(one)]
            standing, vectors = self._standing(passing)
            if tier.number < start.tier:
                continue
            left = self._left(standing, vectors, position)
            room = min(self.options.limit - len(shown), MOST - position.rank)
            for one in left[:room]:
                position = position.besides(one.key) if self.options.diversity else position.behind(one.place)
            shown += left[:room]
            if len(left) > room:
                return Page(shown, nearest, following=position if position.rank < MOST else None)
            if (low := len(tier.found) - len(passing)) or not tier.full or tier.number + 1 == len(TIERS):
                return Page(shown, nearest, cut=min(low, self.options.limit - len(shown)))
            position = position.in_next_tier(tier.found[-1].place)
            if len(shown) == self.options.limit:
                break
        return Page(shown, nearest, following=position)

    def _tiers(self, start: Position) -> Iterator[Tier]:
        """Each tier in turn: what its search finds and those before it did not hold, one query each."""
        passed: set[Any] = set()
        for number, depth in enumerate(TIERS):
            found = self.nearest(depth)
            new = [one for one in found if one.product not in passed]
            if number < start.tier:
                new = [one for one in new if one.place <= start.ends[number]]
            passed.update(one.product for one in new)
            yield Tier(number, new, len(found) == depth)

    def _standing(self, found: list[Found]) -> tuple[list[Found], Mapping[str, Vectors]]:
        """Those that are neither folded into another nor behind a better one of their group, and vectors by key."""
        vectors: Mapping[str, Vectors] = {}
        if self.options.fold or self.options.diversity:
            vectors = vectors_of(self.query.index, [one.key for one in found])
            found = [one for one in found if one.key in vectors]
        if self.options.fold:
            found = self._folded(found, vectors)
        if self.options.group_by:
            found = self._best_of_each(found, self.options.group_by[1])
        return found, vectors

    def _left(self, standing: list[Found], vectors: Mapping[str, Vectors], position: Position) -> list[Found]:
        """Those that come after the position, in the order in which they are shown."""
        if not (self.options.diversity and standing):
            return [one for one in standing if position.after is None or one.place > position.after]
        likeness = 1 - np.array([one.distance for one in standing])
        shown = [row for row, one in enumerate(standing) if mark(one.key) in position.shown]
        rows = np.stack([vectors[one.key] for one in standing])
        return [standing[row] for row in various(likeness, rows, self.options.diversity, shown)]

    def _folded(self, found: list[Found], vectors: Mapping[str, Vectors]) -> list[Found]:
        if not found:
            return []
        own = {one.key: vectors[one.key] for one in found}
        rows = np.stack([*self.leaders.values(), *own.values()])
        before = len(self.leaders)
        standing = folded(rows, same_within(self.query.index))[before:]
        leaders = [row for row, leader in enumerate(standing) if leader == row + before]
        self.leaders |= {found[row].key: own[found[row].key] for row in leaders}
        return [replace(found[row], folded=standing.count(row + before) - 1) for row in leaders]

    def _best_of_each(self, found: list[Found], path: str) -> list[Found]:
        """The first of each group that no tier before has shown; a product without a value is in no group."""
        values = values_of(self.source, [one.product for one in found], path)
        best: list[Found] = []
        for one in found:
            group = values.get(one.product)
            if group is None or group in self.groups:
                continue
            self.groups.add(group)
            best.append(replace(one, group=group))
        return best

    def _passes(self, one: Found) -> bool:
        return self.options.min_score is None or (one.score is not None and one.score >= self.options.min_score)

    def _scores(self, neighbours: Sequence[Neighbour]) -> Sequence[float | None]:
        if self.calibration is None:
            return [None] * len(neighbours)
        return self.calibration.scores([shown_distance(neighbour.distance) for neighbour in neighbours])


def shown_distance(distance: float) -> float:
    """A distance as results have it."""
    return max(0.0, round(distance, DIGITS))
