"""Which of the results are shown, and in which order. Pure: numbers in, places in the list out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.base import Vectors


def folded(vectors: Vectors, distance: float) -> list[int]:
    """For each row of unit vectors, float32 (n, dimensions), the row that stands for it: itself, or the first before it
    that stands for itself and is no farther than ``distance``.

    So what stands for a row does not depend on rows that come later.
    """
    near = 1 - vectors @ vectors.T <= distance
    leaders: list[int] = []
    standing: list[int] = []
    for row in range(len(vectors)):
        leader = next((known for known in leaders if near[row, known]), row)
        standing.append(leader)
        if leader == row:
            leaders.append(row)
    return standing


def various(likeness: npt.NDArray[np.floating], vectors: Vectors, diversity: float, shown: Sequence[int]) -> list[int]:
    """The rows that are not shown yet, in the order of maximal marginal relevance (Carbonell and Goldstein 1998): each
    the best in (1 - diversity) x likeness to the query - diversity x likeness to the most alike of those before it.

    ``likeness`` is float (n), the cosine with the query, ``vectors`` unit, float32 (n, dimensions). What comes next
    depends on which rows were shown and not on their order, so that it can be gone on with.
    """
    between = vectors @ vectors.T
    nearest = between[:, list(shown)].max(axis=1) if shown else np.full(len(vectors), -1.0, np.float32)
    left = [row for row in range(len(vectors)) if row not in set(shown)]
    order: list[int] = []
    while left:
        worth = (1 - diversity) * likeness[left] - diversity * nearest[left]
        best = left.pop(int(np.argmax(worth)))  # of equals the first, which is the nearest
        order.append(best)
        nearest = np.maximum(nearest, between[:, best])
    return order
