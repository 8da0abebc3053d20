"""Moving a query towards what is liked and away from what is not. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visualsearch.encoders.base import Vectors

# Rocchio's formula with the weights of Manning, Raghavan and Schuetze, "Introduction to Information Retrieval" (2008),
# 9.1.1: what is liked counts for more than what is not.
ORIGINAL, LIKED, UNLIKED = 1.0, 0.75, 0.15


def unit(vector: Vectors) -> Vectors:
    """The vector, float32 (dimensions), at unit length; one without a direction as it is."""
    length = float(np.linalg.norm(vector))
    scaled: Vectors = (vector / length if length else vector).astype(np.float32)
    return scaled


def moved(vector: Vectors, liked: Sequence[Vectors], unliked: Sequence[Vectors]) -> Vectors:
    """The unit query moved towards the mean of the liked unit vectors and away from that of the others.

    Where the two pull it apart to nothing, it stays where it was.
    """
    target = ORIGINAL * vector
    if liked:
        target = target + LIKED * np.mean(liked, axis=0)
    if unliked:
        target = target - UNLIKED * np.mean(unliked, axis=0)
    return unit(target) if np.linalg.norm(target) > 1e-6 else vector
