"""How near two pictures are that are nearly the same, by the distances that an index version itself has.

Distances to the nearest of many neighbours follow a Weibull law (the extreme-value law of minima). It is fitted to the
middle and upper part of a sample, which copies of the same picture do not reach, and says how near the nearest of
different pictures comes by chance: what is nearer than for one product in a hundred is a copy. Measured on 3,000
catalogue pictures with mobilenet_v2_compact: the law says 0.011; of all nearest neighbours 1 % were under 0.007, and
none between 0.007 and 0.015. Under it lie all JPEGs of the same picture of quality 70 and more, half of those enlarged
by half, 7 % of those cropped by 2 % on each side, and none at half the resolution (docs/api.md).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from django.db.models.functions import MD5

from visualsearch.models import VisualIndex, rows
from visualsearch.sources import get_source
from visualsearch.stores.together import nearest_of_each
from visualsearch.stores.vectors import vectors_of

SAMPLE = 128  # images; the threshold of a sample of so many lies in the gap above in 95 of 100 samples
FEWEST = 20  # distances that a law can be fitted to
QUANTILES = np.arange(0.25, 0.91, 0.05)
CHANCE = 0.01  # of products whose nearest other one is folded though it is different
COPY = 1e-3  # distance under which vectors are the same but for rounding to half precision and a gentle JPEG
GROWN = 1.5  # times as many images as were there when it was measured: then it is measured anew
NEIGHBOURS = 8  # of each of the sample: the nearest ones may be of the same product


def same_within(index: VisualIndex) -> float:
    """The cosine distance under which two pictures of this version count as nearly the same.

    It stands in the version, measured by the tasks that fill it and before it is put to use. Where none has come by
    since this was introduced, it is measured here, in three statements, and kept.
    """
    return float((index.nearness or measure(index))["within"])


def follow(index: VisualIndex) -> None:
    """Measures anew where the version has grown by half since. One query where it has not."""
    known = index.nearness
    newest = rows(index).order_by("-pk").values_list("pk", flat=True).first() or 0
    # Keys count up, so there are no more new rows than keys; so the rows need not be counted after each task.
    if known and newest - known["newest"] < (GROWN - 1) * known["images"]:
        return
    if not known or rows(index).count() >= GROWN * known["images"]:
        measure(index)


def measure(index: VisualIndex) -> dict[str, float]:
    """Finds out how near different pictures come, and writes it into the version. Three statements and three counts.

    A version of few images has none to tell copies from; COPY holds for it.
    """
    stored = rows(index)
    found = {
        "within": by_chance(_nearest(index)) if stored.filter(vector__isnull=False).count() >= FEWEST else COPY,
        "images": stored.count(),
        "newest": stored.order_by("-pk").values_list("pk", flat=True).first() or 0,
    }
    index.nearness = found
    VisualIndex.objects.filter(pk=index.pk).update(nearness=found)
    return found


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
    vectors = list(vectors_of(index, list(sample[:SAMPLE])).values())
    if not vectors:
        return []
    found: list[float] = []
    near = nearest_of_each(index, np.stack(vectors), source.images(), NEIGHBOURS, distinct=source.product_field)
    for itself, *others in filter(None, near):
        found += [max(0.0, other.distance) for other in others if other.product != itself.product][:1]
    return found
