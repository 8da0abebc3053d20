"""How near two pictures are that are nearly the same, by the distances that an index version itself has.

Distances to the nearest of many neighbours follow a Weibull law (the extreme-value law of minima). It is fitted to the
middle and upper part of a sample, which copies of the same picture do not reach, and says how near the nearest of
different pictures comes by chance: what is nearer than for one product in a hundred is a copy. Measured on 3,000
catalogue pictures with mobilenet_v2_compact: the law says 0.011; of all nearest neighbours 1 % were under 0.007, and
none between 0.007 and 0.015. Under it lie all JPEGs of the same picture of quality 70 and more, half of those enlarged
by half, 7 % of those cropped by 2 % on each side, and none at half the resolution (docs/api.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from django.core.cache import cache
from django.db.models.functions import MD5

from visualsearch.models import VisualIndex, rows
from visualsearch.sources import get_source
from visualsearch.stores import get_store
from visualsearch.stores.vectors import vectors_of

SAMPLE = 128  # images; the threshold of a sample of so many lies in the gap above in 95 of 100 samples
FEWEST = 20  # distances that a law can be fitted to
QUANTILES = np.arange(0.25, 0.91, 0.05)
CHANCE = 0.01  # of products whose nearest other one is folded though it is different
COPY = 1e-3  # distance under which vectors are the same but for rounding to half precision and a gentle JPEG
KEPT = 24 * 60 * 60  # seconds


def same_within(index: VisualIndex) -> float:
    """The cosine distance under which two pictures of this version count as nearly the same.

    It costs some hundred searches; then it is kept in Django's cache for a day.
    """
    key = f"visualsearch.same_within.{index.pk}.{index.fingerprint[:16]}"
    found: Any = cache.get(key)
    if found is None:
        found = by_chance(_nearest(index))
        cache.set(key, found, KEPT)
    return float(found)


def by_chance(distances: npt.ArrayLike) -> float:
    """Below which distance the nearest of different pictures comes for one in a hundred, from a sample of distances,
    float (n), of nearest neighbours. COPY where there are too few, or where the law says less.

    log(-log(1 - F(d))) of a Weibull law is a straight line in log(d).
    """
    different = np.asarray(distances, np.float64)
    different = different[different > COPY]
    if len(different) < FEWEST:
        return COPY
    at = np.log(np.quantile(different, QUANTILES))
    if np.ptp(at) < 1e-6:  # all are as far from each other
        return COPY
    slope, intercept = np.polyfit(at, np.log(-np.log(1 - QUANTILES)), 1)
    return max(COPY, float(np.exp((np.log(-np.log(1 - CHANCE)) - intercept) / slope)))


def _nearest(index: VisualIndex) -> list[float]:
    """The distance to the nearest other product, for a sample of images that is the same each time."""
    source = get_source(index.source)
    sample = rows(index, vector__isnull=False).order_by(MD5("object_id")).values_list("object_id", flat=True)
    found: list[float] = []
    for vector in vectors_of(index, list(sample[:SAMPLE])).values():
        nearest = get_store().search(index, vector.tolist(), source.images(), 2, distinct=source.product_field)
        found += [max(0.0, neighbour.distance) for neighbour in nearest[1:]]  # the first is its own product
    return found
