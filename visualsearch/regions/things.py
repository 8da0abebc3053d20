"""The things in a picture: parts that each look like something in the index, and like something else each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import models
from PIL import Image

from visualsearch.encoders.base import Encoder, Vectors
from visualsearch.models import VisualIndex
from visualsearch.regions.focus import WHOLE, cropped
from visualsearch.regions.looking import Candidates, View, look, view_of
from visualsearch.regions.windows import Boxes, Part

MOST = 5
ASKED = 24  # windows: a picture of several things needs more than one of a single
# A window is a thing where the cosine to its nearest neighbour exceeds that of the whole picture by this, and is not
# further below that of the picture's best window. Chosen on 30 collages of training products (docs/search.md).
MARGIN = 0.06
SPREAD = 0.3
# Two windows are of one thing where the smaller lies in the larger by more than this part of itself ...
INSIDE = 0.4
# ... or where they touch at all and the nearest product of one is among so many of the other's.
SHARED = 3


@dataclass(frozen=True, eq=False)
class Thing:
    """A part of the picture, and the unit vector, float32 (dimensions), to search for what is in it.

    ``similarity`` is the cosine of its window and that one's nearest neighbour.
    """

    box: Part
    vector: Vectors
    similarity: float


def find_things(
    encoder: Encoder,
    index: VisualIndex,
    picture: Image.Image,
    eligible: models.QuerySet[Any],
    *,
    product: str | None = None,
    most: int = MOST,
    view: View | None = None,
) -> list[Thing]:
    """At most ``most`` things in an upright RGB picture, what looks most like the index first.

    ``eligible`` is a queryset of the source's images, ``product`` its relation to the thing sold. ``view`` is that of
    the picture where it is known. A picture of which no part stands out is one thing, the whole; an index with nothing
    eligible knows none. One statement. Raises NoFeatureMap.
    """
    seen = look(view or view_of(encoder, picture), index, eligible, limit=SHARED, distinct=product, asked=ASKED)
    chosen = distinct_things(seen, most)
    if not chosen:
        return []
    parts = [Part(*map(float, seen.boxes[number])) for number in chosen]
    vectors = _encoded_again(encoder, picture, parts, seen.vectors[chosen])
    similarities = seen.similarities[chosen].tolist()
    return [Thing(*found) for found in zip(parts, vectors, similarities, strict=True)]


def distinct_things(seen: Candidates, most: int) -> list[int]:
    """Places in ``seen`` of windows that are things, best first; the whole picture alone where no window is one."""
    similarities = seen.similarities
    whole = len(similarities) - 1
    if not seen.near[whole]:
        return []
    least = max(float(similarities[whole]) + MARGIN, float(similarities[:whole].max(initial=-1)) - SPREAD)
    order = np.argsort(-similarities[:whole], kind="stable")
    kept: list[int] = []
    for number in map(int, order):
        if similarities[number] < least or len(kept) == most:
            break
        if not any(_same(seen, number, other) for other in kept):
            kept.append(number)
    return kept or [whole]


def _same(seen: Candidates, one: int, other: int) -> bool:
    inside = _inside(seen.boxes[one], seen.boxes[other])
    if inside > INSIDE:
        return True
    products = [[near.product for near in seen.near[number][:SHARED]] for number in (one, other)]
    return inside > 0 and (products[0][0] in products[1] or products[1][0] in products[0])


def _inside(one: Boxes, other: Boxes) -> float:
    """The shared area in parts of the smaller box."""
    corner = np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - np.maximum(one[:2], other[:2])
    return float(corner.clip(0).prod() / min(one[2:].prod(), other[2:].prod()))


def _encoded_again(encoder: Encoder, picture: Image.Image, parts: Sequence[Part], vectors: Vectors) -> Vectors:
    """The windows' vectors and those of the parts encoded by themselves, halfway between, as ``find_focus`` has it."""
    if parts == [WHOLE]:
        return vectors
    sums = vectors + encoder.encode([cropped(picture, part) for part in parts])
    unit: Vectors = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return unit
