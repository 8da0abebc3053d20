"""Intervals of means over queries, and whether one encoder is better than another: the bootstrap of Efron (1979).

Needs numpy alone. Queries are what is resampled: an interval says what other queries of the same kind might have
given, against the same gallery.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1000
DRAWN = 1_000_000  # values drawn at once: 8 MB
PERCENTILES = (2.5, 97.5)  # of the resampled means: a 95% interval
# A two-sided sign test of 5 differing pairs cannot go below p = 0.06, whatever their signs; one of 6 can reach 0.03.
# The bootstrap alone would call 4 of them a difference.
FEWEST_DIFFERENT = 6


@dataclass(frozen=True)
class Figure:
    """A mean over queries, with its 95% bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Verdict(StrEnum):
    """What a comparison shows."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """The second of two encoders against the first, on the same queries.

    ``difference`` is the mean of second minus first, ``queries`` their number, ``different`` of how many the two
    differ.
    """

    verdict: Verdict
    before: float
    after: float
    difference: Figure
    queries: int
    different: int


def bootstrap(values: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> Figure:
    """Mean of ``values``, one a query, and the 2.5th and 97.5th percentile of its resampled means.

    The same seed and number of values give the same resamples. Raises ValueError for no values.
    """
    known = np.asarray(values, dtype=np.float64)
    if known.ndim != 1 or not len(known):
        raise ValueError(f"expected one value a query, not an array of shape {known.shape}")
    low, high = np.percentile(_resampled_means(known, resamples, seed), PERCENTILES)
    return Figure(float(known.mean()), float(low), float(high))


def compare(before: ArrayLike, after: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Paired bootstrap of two encoders: one value a query of each, the same queries in the same order.

    Better (worse) is said where the whole 95% interval of the mean difference lies above (below) zero and at least
    FEWEST_DIFFERENT queries differ. Raises ValueError for arrays of different or no length.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"paired values have the same shape, not {first.shape} and {second.shape}")
    apart = second - first
    difference, different = bootstrap(apart, resamples, seed), int(np.count_nonzero(apart))
    verdict = Verdict.NO_DIFFERENCE
    if different >= FEWEST_DIFFERENT and difference.low > 0:
        verdict = Verdict.BETTER
    elif different >= FEWEST_DIFFERENT and difference.high < 0:
        verdict = Verdict.WORSE
    return Comparison(verdict, float(first.mean()), float(second.mean()), difference, len(first), different)


def better(before: ArrayLike, after: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> bool:
    """Whether the second is shown to be better than the first, as ``compare`` says."""
    return compare(before, after, resamples, seed).verdict is Verdict.BETTER


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    count, at_once = len(values), max(1, DRAWN // len(values))
    parts = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    return np.concatenate([values[rng.integers(0, count, (part, count))].mean(1) for part in parts])
