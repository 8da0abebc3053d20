"""The things in a picture: parts that each look like something in the index, and like something else each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import models
from PIL import Image

from visualsearch.encoders.base import Encoder, Vectors
from visualsearch.models import VisualIndex
from visualsearch.regions.focus import WHOLE, cropped
from visualsearch.regions.looking import Candidates, look
from visualsearch.regions.windows import Boxes, Part
from visualsearch.stores.together import Near, nearest_of_each

MOST = 5
ASKED = 24  # windows: a picture of several things needs more than one of a single
NEIGHBOURS = 9  # that a category is guessed from, and that tell one thing from another
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
    """``box``, the unit vector of what is in it, and its neighbours, nearest first, one for each product.

    ``category`` is the commonest value among the neighbours of the field that was asked for, ``share`` its part of
    those that have a value; None and 0 where none has.
    """

    box: Part
    vector: Vectors
    similarity: float
    near: tuple[Near, ...]
    category: Any = None
    share: float = 0.0


def find_things(
    encoder: Encoder,
    index: VisualIndex,
    picture: Image.Image,
    eligible: models.QuerySet[Any],
    *,
    product: str | None = None,
    category: str | None = None,
    limit: int = NEIGHBOURS,
    most: int = MOST,
    whole: Vectors | None = None,
) -> list[Thing]:
    """At most ``most`` things in an upright RGB picture, what looks most like the index first.

    ``eligible`` is a queryset of the source's images, ``product`` its relation to the thing sold, and ``category`` a
    field of the image model, by path (``product__category__name``). ``limit`` is each thing's own results. A picture of
    which no part stands out is one thing, the whole; an index with nothing eligible knows none. Two statements, and one
    for categories. Raises NoFeatureMap.
    """
    seen = look(encoder, index, picture, eligible, limit=NEIGHBOURS, distinct=product, asked=ASKED, whole=whole)
    chosen = distinct_things(seen, most)
    if not chosen:
        return []
    parts = [Part(*map(float, seen.boxes[number])) for number in chosen]
    vectors = _encoded_again(encoder, picture, parts, seen.vectors[chosen])
    found = nearest_of_each(index, vectors, eligible, max(limit, NEIGHBOURS) * 2, distinct=product)
    values = _values(eligible.model, [near.image for rows in found for near in rows], category)
    things = []
    for part, vector, rows in zip(parts, vectors, found, strict=True):
        near = _best_of_each(rows)
        guess, share = _guess([values[one.image] for one in near[:NEIGHBOURS] if one.image in values])
        similarity = 1 - near[0].distance if near else -1.0
        things.append(Thing(part, vector, similarity, tuple(near[:limit]), guess, share))
    return things


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


def _best_of_each(near: Sequence[Near]) -> list[Near]:
    """The nearest image of each product."""
    first: dict[Any, Near] = {}
    for one in near:
        first.setdefault(one.product, one)
    return list(first.values())


def _values(model: type[models.Model], images: Sequence[Any], field: str | None) -> Mapping[Any, Any]:
    """The field's value of each of these images (keys) that has one. One query, none without a field."""
    if field is None:
        return {}
    having = model._default_manager.filter(pk__in=set(images), **{f"{field}__isnull": False}).order_by()
    return dict(having.values_list("pk", field))


def _guess(values: Sequence[Any]) -> tuple[Any, float]:
    """The commonest of the values, of equals the nearer one's, and its share."""
    if not values:
        return None, 0.0
    value, count = Counter(values).most_common(1)[0]
    return value, round(count / len(values), 3)
