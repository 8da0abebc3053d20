"""What a search answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from visualsearch.regions.explain import Explanation
from visualsearch.search.boxes import Box


class State(StrEnum):
    """Whether a product can be searched with."""

    READY = "ready"
    PENDING = "pending"  # its images wait for the worker
    FAILED = "failed"  # none of its images could be read; the reason says why
    NO_IMAGE = "no_image"


@dataclass(frozen=True)
class Match:
    """One product found.

    ``image`` is its image nearest to the query, ``distance`` the cosine distance of the two (0 to 2), ``rank`` counts
    from 1 and goes on from page to page. ``score`` is the probability, in percent, that a person would call it a match
    of the same kind, by the index version's calibration; None where the version has none (docs/calibration.md). Without
    ``diversity`` it never rises from one rank to the next.

    ``folded`` is how many products with nearly the same picture stand behind this one (None where folding was not asked
    for), ``group`` its value of the field that results were grouped by. ``explanation`` says what of ``image`` made it
    match; None where that was not asked for, or where the file can be read no more.
    """

    product: Any
    image: Any
    score: float | None
    distance: float
    rank: int
    folded: int | None = None
    group: Any = None
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Guess:
    """What the nearest neighbours say of a field: the commonest value, and the share of them, 0 to 1, that have it."""

    value: Any
    share: float


@dataclass(frozen=True)
class Count:
    """How many of the products nearest to the query have this value of a field."""

    value: Any
    count: int


class Results(list[Match]):
    """A page of matches, best first. ``state`` and ``reason`` say why it is empty where the query has no vector.

    ``query`` is the token with which a search by photo goes on without the photo. ``next`` is the cursor of the page
    that follows, None on the last one and where no cursor was asked for. ``cut`` is how many of the page ``min_score``
    left out; ``guess`` and ``facets`` are by field, as asked for.

    ``box`` is the part of the photo that was searched with, the one given or the one that ``focus`` found; None where
    it was the whole. ``objects``, where asked for, are the things in the photo: results of their own, each with its
    box, its token, and a guess of the fields that ``guess`` names, by default of all that are declared.
    """

    def __init__(self, matches: Sequence[Match] = (), state: State = State.READY, reason: str = "") -> None:
        super().__init__(matches)
        self.state = state
        self.reason = reason
        self.query: str | None = None
        self.next: str | None = None
        self.cut: int | None = None
        self.guess: Mapping[str, Guess | None] | None = None
        self.facets: Mapping[str, Sequence[Count]] | None = None
        self.box: Box | None = None
        self.objects: Sequence[Results] | None = None


@dataclass(frozen=True)
class ProductState:
    """Whether a product can be searched with, and why not."""

    state: State
    reason: str = ""
    images: int = 0
    indexed: int = 0
