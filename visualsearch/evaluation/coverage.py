"""Precision by score: of the answers with a score this high, how many are right, and how many answers is that?

Needs numpy alone. A shop that shows only answers above a score trades the ones it loses (coverage) for fewer wrong ones
(precision).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z = 1.959964  # a normal distribution's 97.5th percentile: 95% intervals


@dataclass(frozen=True)
class Curve:
    """For each distinct score, highest first: the share of answers that have it or more, and how many are right.

    ``low`` and ``high`` are Wilson's 95% interval of the precision. All arrays have the same length; ``answers`` is how
    many there are in all.
    """

    answers: int

    score: NDArray[np.float64]
    coverage: NDArray[np.float64]
    precision: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def at(self, coverage: float) -> int:
        """Position of the first point that covers at least this share."""
        return min(int(np.searchsorted(self.coverage, coverage - 1e-9)), len(self.coverage) - 1)


def precision_by_coverage(scores: ArrayLike, right: ArrayLike) -> Curve:
    """The curve of answers with these scores, of which these are right. Answers of equal score come together.

    Raises ValueError where there is none, or there are not as many scores as answers.
    """
    known, correct = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if known.ndim != 1 or known.shape != correct.shape or not len(known):
        raise ValueError(f"expected a score and a right or wrong for each answer, not {known.shape}, {correct.shape}")
    order = np.argsort(-known, kind="stable")
    known, correct = known[order], correct[order].cumsum()
    last = np.flatnonzero(np.append(np.diff(known) != 0, True))  # of those that share a score
    covered = last + 1
    precision = correct[last] / covered
    low, high = wilson(precision, covered)
    return Curve(len(known), known[last], covered / len(known), precision, low, high)


def wilson(share: ArrayLike, count: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 95% score interval of shares of ``count`` trials (Wilson 1927), which holds near 0 and 1 as well."""
    p, n = np.asarray(share, dtype=np.float64), np.asarray(count, dtype=np.float64)
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return (centre - half).clip(0, 1), (centre + half).clip(0, 1)
