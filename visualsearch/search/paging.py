"""Where a page begins: cursors, and the tiers that make the order of results the same whatever the size of a page.

The graph is asked for the nearest 100, and where a list goes on for the nearest 300, 600 and 1,000. Each tier is what
such a search adds to the tiers before it, nearest first. The tiers are constants, so a list of twelve a page and one of
fifty a page are cut from the same order, even where a walk of the graph that is told to find more finds something near
that a shorter one did not.

A cursor holds a position in that order: the tier, the last result of each tier before it, and the last one shown. It is
a place between two distances and no number of results to skip, so a product that is taken off sale between two pages
moves nobody else. Where results are picked for variety, their order is not that of distances; then it holds which of
the tier were shown (four bytes of a hash each), and the picking goes on from there.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from django.core import signing

from visualsearch.exceptions import CursorOfAnotherQuery, InvalidCursor

TIERS = (100, 300, 600, 1000)  # products; about as many new ones in each as a person looks at in one go
SALT = "visualsearch.cursor"
MARK = 4  # bytes of a hash: of 400 results, any two have the same with a probability of 2e-5
DIGEST = 12  # bytes of the query's


@dataclass(frozen=True, order=True)
class Place:
    """A place in an order by distance: behind this result."""

    distance: float
    key: str


@dataclass(frozen=True)
class Position:
    """Where the next page begins. ``ends`` are the last results of the tiers before, ``rank`` that of the last one
    shown, ``after`` the place of it in its tier, ``shown`` the marks of those shown where there is no such place."""

    tier: int = 0
    ends: tuple[Place, ...] = ()
    rank: int = 0
    after: Place | None = None
    shown: frozenset[bytes] = frozenset()

    def behind(self, place: Place) -> Position:
        """The same, with the result at this place shown too."""
        return replace(self, rank=self.rank + 1, after=place)

    def besides(self, key: str) -> Position:
        """The same, with this result marked as shown."""
        return replace(self, rank=self.rank + 1, shown=self.shown | {mark(key)})

    def in_next_tier(self, end: Place) -> Position:
        """At the beginning of the next tier; ``end`` is the last result of this one."""
        return Position(self.tier + 1, (*self.ends, end), self.rank)


def mark(key: str) -> bytes:
    """A few bytes that stand for a product's key."""
    return blake2b(key.encode(), digest_size=MARK).digest()


def _digest(query: bytes) -> bytes:
    return blake2b(query, digest_size=DIGEST).digest()


def cursor_of(position: Position, query: bytes) -> str:
    """The cursor, tied to ``query``, which says all that decides on the results and their order.

    The same for the same position, so that answers can be compared.
    """
    content: list[Any] = [
        base64.b85encode(_digest(query)).decode(),
        position.tier,
        position.rank,
        [[end.distance, end.key] for end in position.ends],
        [position.after.distance, position.after.key] if position.after else None,
        base64.b85encode(b"".join(sorted(position.shown))).decode(),
    ]
    return signing.Signer(salt=SALT).sign(
        signing.b64_encode(json.dumps(content, separators=(",", ":")).encode()).decode()
    )


def position_of(cursor: str, query: bytes) -> Position:
    """Raises InvalidCursor for what was not signed here, CursorOfAnotherQuery where the query is another."""
    if not cursor:
        return Position()
    try:
        text = signing.Signer(salt=SALT).unsign(cursor)
    except (signing.BadSignature, UnicodeError):
        raise InvalidCursor from None
    digest, tier, rank, ends, after, shown = json.loads(signing.b64_decode(text.encode()))
    if base64.b85decode(digest) != _digest(query):
        raise CursorOfAnotherQuery
    marks = base64.b85decode(shown)
    return Position(
        tier,
        tuple(Place(*end) for end in ends),
        rank,
        Place(*after) if after else None,
        frozenset(marks[start : start + MARK] for start in range(0, len(marks), MARK)),
    )
