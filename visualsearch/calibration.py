"""From a cosine distance to the probability that a person would call the result a match of the same kind. numpy alone.

A calibration is a curve that never rises with the distance, so that scores never change the order of results. Two are
fitted to judged pairs, an isotonic and a logistic one, and the one with the smaller log loss on pairs that it was not
fitted to is kept. The probability holds for pairs such as those fitted to: docs/calibration.md says which these are.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from visualsearch.exceptions import CalibrationError

Floats = npt.NDArray[np.float64]

BUNDLED_CALIBRATIONS = Path(__file__).parent / "encoders" / "weights" / "calibrations.json"
MAX_DISTANCE = 2.0  # cosine distance of opposite vectors
DIGITS = 6  # decimals of a result's distance
MIN_PAIRS = 50  # a share of 50 pairs has a standard error of up to 7 points
MIN_OF_EACH = 5  # pairs of the same kind, and of different kinds
FOLDS = 5
PAIRS_A_KNOT = 20  # at least, so that no knot of the isotonic curve rests on a few pairs
MAX_KNOTS = 40
CLOSEST_TO_CERTAIN = 1e-4  # probabilities are held this far from 0 and 1 in a log loss


class Curve(Protocol):
    """Distance -> probability, never rising."""

    @property
    def method(self) -> str: ...

    def probability(self, distances: npt.ArrayLike) -> Floats: ...

    def as_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Logistic:
    """1 / (1 + exp(-(intercept + slope * distance))), slope at most 0 (Platt 1999, "Probabilistic outputs")."""

    intercept: float
    slope: float
    method: str = field(default="logistic", init=False)

    def probability(self, distances: npt.ArrayLike) -> Floats:
        return _sigmoid(self.intercept + self.slope * np.asarray(distances, np.float64))

    def as_dict(self) -> dict[str, Any]:
        return {"method": self.method, "intercept": self.intercept, "slope": self.slope}


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between knots, level outside them: rising distances, probabilities that never rise."""

    distances: tuple[float, ...]
    probabilities: tuple[float, ...]
    method: str = field(default="isotonic", init=False)

    def probability(self, distances: npt.ArrayLike) -> Floats:
        found: Floats = np.interp(np.asarray(distances, np.float64), self.distances, self.probabilities)
        return found

    def as_dict(self) -> dict[str, Any]:
        return {"method": self.method, "distances": [*self.distances], "probabilities": [*self.probabilities]}


@dataclass(frozen=True)
class Calibration:
    """A curve, and ``fitted``: what it was fitted to and how well it holds, for people to read."""

    curve: Curve
    fitted: Mapping[str, Any] = field(default_factory=dict)

    def probability(self, distances: npt.ArrayLike) -> Floats:
        """Of the same kind, 0 to 1, for each cosine distance."""
        return self.curve.probability(distances)

    def scores(self, distances: Sequence[float]) -> list[float]:
        """The same in percent, 0 to 100, with one decimal."""
        return [round(100 * float(probability), 1) for probability in self.probability(distances)]

    def score(self, distance: float) -> float:
        """The score of one distance."""
        return self.scores([distance])[0]

    def distance_for(self, score: float) -> float | None:
        """The largest cosine distance, 0 to 2, that still has this score; None where not even 0 has it.

        Of the distances of results, which have DIGITS decimals.
        """
        steps = range(int(MAX_DISTANCE) * 10**DIGITS + 1)
        enough = bisect_left(steps, True, key=lambda step: self.score(step / 10**DIGITS) < score)
        return (enough - 1) / 10**DIGITS if enough else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``from_dict`` reads it."""
        return {**self.curve.as_dict(), "fitted": dict(self.fitted)}

    @classmethod
    def from_dict(cls, stored: Any) -> Calibration:
        """Raises CalibrationError where this is no calibration, or one that would change the order of results."""
        try:
            curve = _CURVES[stored["method"]](stored)
            fitted = dict(stored.get("fitted", {}))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CalibrationError(f"This is no calibration: {str(stored)[:80]}") from error
        return cls(curve, fitted)


def _logistic_from(stored: Mapping[str, Any]) -> Logistic:
    intercept, slope = float(stored["intercept"]), float(stored["slope"])
    if not (math.isfinite(intercept) and math.isfinite(slope) and slope <= 0):
        raise ValueError("rises with the distance")
    return Logistic(intercept, slope)


def _isotonic_from(stored: Mapping[str, Any]) -> Isotonic:
    distances, probabilities = np.array(stored["distances"], float), np.array(stored["probabilities"], float)
    if distances.ndim != 1 or distances.shape != probabilities.shape or not distances.size:
        raise ValueError("knots without a probability each")
    in_order = (np.diff(distances) > 0).all() and (np.diff(probabilities) <= 0).all()
    if not (in_order and 0 <= probabilities[-1] <= probabilities[0] <= 1 and np.isfinite(distances).all()):
        raise ValueError("not in order")
    return Isotonic(tuple(distances.tolist()), tuple(probabilities.tolist()))


_CURVES: dict[str, Any] = {"logistic": _logistic_from, "isotonic": _isotonic_from}


@lru_cache(maxsize=1)
def bundled_calibrations() -> Mapping[str, Calibration]:
    """The calibrations that come with the package, by encoder fingerprint; the file is read once a process."""
    stored = json.loads(BUNDLED_CALIBRATIONS.read_text(encoding="utf-8"))
    return {fingerprint: Calibration.from_dict(value) for fingerprint, value in stored.items()}


def calibration_of(own: Mapping[str, Any] | None, fingerprint: str) -> Calibration | None:
    """That of an index version: its own, else the one that came with the weights of this fingerprint, else None."""
    return bundled_calibrations().get(fingerprint) if own is None else Calibration.from_dict(own)


def calibration_in_use(own: Mapping[str, Any] | None, fingerprint: str) -> Literal["own", "bundled", "none"]:
    """Which of the three that is."""
    if own is not None:
        return "own"
    return "bundled" if fingerprint in bundled_calibrations() else "none"


@dataclass(frozen=True)
class Pairs:
    """Judged pairs. Each array has one entry a pair: its cosine distance; whether both are of the same kind; what it
    counts for; and the number of its query, whose pairs are never parted between fitting and judging."""

    distances: Floats
    same: npt.NDArray[np.bool_]
    weights: Floats
    queries: npt.NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, bool, float, int]]) -> Pairs:
        """From (distance, same, weight, query)."""
        columns: Any = zip(*pairs, strict=True) if pairs else ((), (), (), ())
        distances, same, weights, queries = columns
        return cls(np.array(distances, float), np.array(same, bool), np.array(weights, float), np.array(queries, int))

    def __len__(self) -> int:
        return len(self.distances)

    def __add__(self, other: Pairs) -> Pairs:
        """Both; the queries of the other are other queries."""
        first = int(self.queries.max()) + 1 if len(self) else 0
        return Pairs(
            np.concatenate([self.distances, other.distances]),
            np.concatenate([self.same, other.same]),
            np.concatenate([self.weights, other.weights]),
            np.concatenate([self.queries, other.queries + first]),
        )

    def where(self, kept: npt.NDArray[np.bool_]) -> Pairs:
        return Pairs(self.distances[kept], self.same[kept], self.weights[kept], self.queries[kept])


def fit_isotonic(pairs: Pairs) -> Isotonic:
    """Isotonic regression, smoothed: pools of at least PAIRS_A_KNOT neighbouring pairs, merged until their shares of
    the same kind fall (pool adjacent violators; Barlow et al. 1972), joined by lines between their centres (Oron and
    Flournoy 2017, https://doi.org/10.1080/19466315.2017.1286256).

    A share counts half a pair more on each side (Jeffreys), so none is certain. At distance 0 the probability is 1: a
    picture is of its own kind.
    """
    order = np.argsort(pairs.distances, kind="stable")
    distances, weights = pairs.distances[order], pairs.weights[order]
    hits = weights * pairs.same[order]
    count = max(1, min(MAX_KNOTS, len(pairs) // PAIRS_A_KNOT))
    # Pools of equal numbers of pairs; pairs at one distance stay together.
    starts = np.unique(np.searchsorted(distances, distances[np.arange(count) * len(pairs) // count]))
    pools = [
        _Pool(float(hit), float(weight), float(moment), int(number))
        for hit, weight, moment, number in zip(
            np.add.reduceat(hits, starts),
            np.add.reduceat(weights, starts),
            np.add.reduceat(weights * distances, starts),
            np.diff([*starts, len(pairs)]),
            strict=True,
        )
    ]
    falling: list[_Pool] = []
    for pool in pools:
        falling.append(pool)
        while len(falling) > 1 and falling[-2].share <= falling[-1].share:
            falling[-2:] = [falling[-2].merged(falling[-1])]
    centres = [round(pool.moment / pool.weight, 6) for pool in falling]
    shares = [round(pool.share, 6) for pool in falling]
    knots = {0.0: 1.0, **{centre: share for centre, share in zip(centres, shares, strict=True) if centre > 0}}
    return Isotonic(tuple(knots), tuple(knots.values()))


@dataclass(frozen=True)
class _Pool:
    hits: float
    weight: float
    moment: float  # sum of weight times distance
    number: int

    @property
    def share(self) -> float:
        half = 0.5 * self.weight / self.number  # half a pair of the weight usual here
        return (self.hits + half) / (self.weight + 2 * half)

    def merged(self, other: _Pool) -> _Pool:
        return _Pool(
            self.hits + other.hits, self.weight + other.weight, self.moment + other.moment, self.number + other.number
        )


def fit_logistic(pairs: Pairs, steps: int = 50) -> Logistic:
    """Weighted maximum likelihood by Newton's method, with Platt's targets a little inside 0 and 1.

    Where nearer pairs are not the likelier ones, the slope is 0 and the curve the share of all.
    """
    same, different = float(pairs.same.sum()), float((~pairs.same).sum())
    targets = np.where(pairs.same, (same + 1) / (same + 2), 1 / (different + 2))
    design = np.stack([np.ones(len(pairs)), pairs.distances], axis=1)
    mean = float(np.average(targets, weights=pairs.weights))
    found = np.array([math.log(mean / (1 - mean)), 0.0])
    loss = _loss(found, design, targets, pairs.weights)
    for _ in range(steps):
        expected = _sigmoid(design @ found)
        gradient = design.T @ (pairs.weights * (expected - targets))
        curvature = (design * (pairs.weights * expected * (1 - expected))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-9 * np.trace(curvature) * np.eye(2), gradient)
        while (shorter := _loss(found - step, design, targets, pairs.weights)) > loss and np.abs(step).max() > 1e-9:
            step = step / 2
        if loss - shorter < 1e-12:
            break
        found, loss = found - step, shorter
    if found[1] >= 0:
        return Logistic(round(math.log(mean / (1 - mean)), 6), 0.0)
    return Logistic(round(float(found[0]), 6), round(float(found[1]), 6))


def _loss(parameters: Floats, design: Floats, targets: Floats, weights: Floats) -> float:
    logits = design @ parameters
    return float((weights * (np.logaddexp(0, logits) - targets * logits)).sum() / weights.sum())


def _sigmoid(logits: Floats) -> Floats:
    found: Floats = 0.5 * (1 + np.tanh(0.5 * logits))
    return found


@dataclass(frozen=True)
class Fit:
    """The calibration, and for each method its log loss on the held-out pairs. ``held_out`` are the probabilities of
    all pairs, each by curves of the kept method that were fitted without its query."""

    calibration: Calibration
    held_out: Floats
    log_losses: dict[str, float]


_METHODS: dict[str, Callable[[Pairs], Curve]] = {"isotonic": fit_isotonic, "logistic": fit_logistic}


def fit(pairs: Pairs, about: Mapping[str, Any] | None = None) -> Fit:
    """The method with the smaller held-out log loss (FOLDS-fold over queries), then fitted to all pairs.

    ``about`` is kept in the calibration's ``fitted``. Raises CalibrationError for fewer than MIN_PAIRS pairs, or fewer
    than MIN_OF_EACH of the same or of different kinds.
    """
    require_enough(pairs)
    folds = _folds(pairs)
    held_out = {method: np.empty(len(pairs)) for method in _METHODS}
    for number in range(FOLDS):
        judged = folds == number
        if not judged.any():
            continue
        rest = pairs.where(~judged)
        for method, fitted in _METHODS.items():
            held_out[method][judged] = fitted(rest).probability(pairs.distances[judged])
    losses = {method: log_loss(found, pairs) for method, found in held_out.items()}
    chosen = min(losses, key=losses.__getitem__)
    record = {
        **(about or {}),
        "pairs": len(pairs),
        "queries": len(np.unique(pairs.queries)),
        "same": int(pairs.same.sum()),
        "log_loss": {method: round(loss, 4) for method, loss in losses.items()},
    }
    return Fit(Calibration(_METHODS[chosen](pairs), record), held_out[chosen], losses)


def require_enough(pairs: Pairs) -> None:
    """Raises CalibrationError, with what is lacking."""
    same = int(pairs.same.sum())
    if len(pairs) < MIN_PAIRS:
        raise CalibrationError(f"There are {len(pairs)} judged pairs; a calibration needs at least {MIN_PAIRS}.")
    if min(same, len(pairs) - same) < MIN_OF_EACH:
        raise CalibrationError(
            f"Of {len(pairs)} pairs {same} are of the same kind and {len(pairs) - same} of different kinds; a "
            f"calibration needs at least {MIN_OF_EACH} of each."
        )
    if len(np.unique(pairs.queries)) < FOLDS:
        raise CalibrationError(f"All pairs are of fewer than {FOLDS} queries; a calibration needs more.")


def _folds(pairs: Pairs) -> npt.NDArray[np.int64]:
    """The fold of each pair: whole queries, shuffled the same way each time."""
    _, query = np.unique(pairs.queries, return_inverse=True)
    fold_of_query = np.random.default_rng(0).permutation(int(query.max()) + 1) % FOLDS
    folds: npt.NDArray[np.int64] = fold_of_query[query]
    return folds


@dataclass(frozen=True)
class Bin:
    """Pairs whose probability lies in one tenth: the mean of it, the share that is of the same kind, their number."""

    low: float
    high: float
    predicted: float
    observed: float
    pairs: int


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be believed: ``ece`` is the mean distance of predicted and observed share over ten
    equal bins (expected calibration error; Naeini et al. 2015), ``brier`` the mean squared error (Brier 1950)."""

    ece: float
    brier: float
    log_loss: float
    bins: tuple[Bin, ...]


def reliability(probabilities: Floats, pairs: Pairs) -> Reliability:
    """The reliability of these probabilities of the pairs, each counted by its weight."""
    weights = pairs.weights / pairs.weights.sum()
    tenth = np.minimum((probabilities * 10).astype(int), 9)
    bins, ece = [], 0.0
    for number in range(10):
        inside = tenth == number
        if not inside.any():
            continue
        share = float(weights[inside].sum())
        predicted = float((weights * probabilities)[inside].sum()) / share
        observed = float((weights * pairs.same)[inside].sum()) / share
        ece += share * abs(predicted - observed)
        bins.append(Bin(number / 10, (number + 1) / 10, predicted, observed, int(inside.sum())))
    brier = float((weights * (probabilities - pairs.same) ** 2).sum())
    return Reliability(ece, brier, log_loss(probabilities, pairs), tuple(bins))


def log_loss(probabilities: Floats, pairs: Pairs) -> float:
    """Weighted mean of -log of the probability given to what was judged."""
    given = np.where(pairs.same, probabilities, 1 - probabilities).clip(CLOSEST_TO_CERTAIN, 1)
    return float(-np.average(np.log(given), weights=pairs.weights))
