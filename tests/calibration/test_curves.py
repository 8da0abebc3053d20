"""Curves from distance to probability: what is fitted, what is refused, and that no curve ever rises."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from visualsearch.calibration import (
    Calibration,
    Isotonic,
    Logistic,
    Pairs,
    fit,
    fit_isotonic,
    fit_logistic,
    reliability,
)
from visualsearch.exceptions import CalibrationError

GRID = np.linspace(0, 2, 2001)


def drawn(truth: Any, queries: int = 400, results: int = 10, seed: int = 0) -> Pairs:
    """Pairs at even distances from 0 to 1, of the same kind with the probability that ``truth`` gives."""
    rng = np.random.default_rng(seed)
    distances = rng.uniform(0, 1, queries * results)
    same = rng.uniform(size=len(distances)) < truth(distances)
    return Pairs(distances, same, np.ones(len(distances)), np.repeat(np.arange(queries), results))


def sigmoid(distances: Any) -> Any:
    return 1 / (1 + np.exp(-(3 - 8 * distances)))


def steps(distances: Any) -> Any:
    """What no logistic curve is like."""
    return np.where(distances < 0.2, 0.95, np.where(distances < 0.6, 0.5, 0.05))


@pytest.mark.parametrize("fitted", [fit_isotonic, fit_logistic])
@pytest.mark.parametrize("truth", [sigmoid, steps, lambda d: 0.2 + 0.6 * d], ids=["sigmoid", "steps", "rising"])
@pytest.mark.parametrize("seed", range(3))
def test_no_curve_rises(fitted: Any, truth: Any, seed: int) -> None:
    found = fitted(drawn(truth, queries=40, seed=seed)).probability(GRID)
    assert (np.diff(found) <= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("fitted", [fit_isotonic, fit_logistic])
def test_the_truth_is_found(fitted: Any) -> None:
    inside = np.linspace(0.1, 0.9, 50)
    assert fitted(drawn(sigmoid)).probability(inside) == pytest.approx(sigmoid(inside), abs=0.07)


def test_logistic_finds_its_parameters() -> None:
    found = fit_logistic(drawn(sigmoid, queries=4000))
    assert (found.intercept, found.slope) == (pytest.approx(3, abs=0.2), pytest.approx(-8, abs=0.4))


def test_logistic_is_level_where_nearer_is_not_likelier() -> None:
    found = fit_logistic(drawn(lambda d: 0.2 + 0.6 * d))
    assert found.slope == 0
    assert float(found.probability(0.3)) == pytest.approx(0.5, abs=0.03)


def test_logistic_stands_pairs_that_a_line_parts() -> None:
    found = fit_logistic(drawn(lambda d: d < 0.5))
    assert np.isfinite([found.intercept, found.slope]).all()
    assert found.probability([0.0, 1.0]) == pytest.approx([1, 0], abs=0.01)


def test_isotonic_is_certain_of_the_same_picture_alone() -> None:
    found = fit_isotonic(drawn(lambda d: d < 0.5, queries=20))
    assert float(found.probability(0)) == 1
    assert 0 < found.probabilities[-1] < found.probabilities[1] < 1


@pytest.mark.parametrize(("truth", "method"), [(sigmoid, "logistic"), (steps, "isotonic")])
def test_the_better_one_on_held_out_queries_is_kept(truth: Any, method: str) -> None:
    found = fit(drawn(truth), {"by": "category"})
    assert found.calibration.curve.method == method
    assert found.log_losses[method] == min(found.log_losses.values())
    assert found.calibration.fitted["by"] == "category"
    assert found.calibration.fitted["pairs"] == 4000
    assert found.calibration.fitted["queries"] == 400


def test_held_out_probabilities_know_nothing_of_their_query() -> None:
    """All pairs of a query lie at one distance of its own and are alike: a curve fitted to them would know them."""
    rng = np.random.default_rng(0)
    same = np.repeat(rng.uniform(size=60) < 0.5, 20)
    distances = np.repeat(rng.uniform(0, 1, 60), 20)
    pairs = Pairs(distances, same, np.ones(1200), np.repeat(np.arange(60), 20))
    found = fit(pairs)
    assert min(found.log_losses.values()) > 0.6
    for query in range(60):
        assert len(set(found.held_out[pairs.queries == query])) == 1


def test_weights_count_like_copies() -> None:
    pairs = drawn(steps, queries=100)
    twice = Pairs(pairs.distances, pairs.same, np.where(pairs.same, 2.0, 1.0), pairs.queries)
    copied = pairs + pairs.where(pairs.same)
    assert copied.queries.max() > pairs.queries.max()
    for fitted in (fit_isotonic, fit_logistic):
        one, other = fitted(twice).probability(GRID[:1000]), fitted(copied).probability(GRID[:1000])
        assert np.abs(one - other).mean() < 0.03


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (drawn(steps, queries=4), "There are 40 judged pairs; a calibration needs at least 50."),
        (drawn(lambda d: d < 2), "4000 are of the same kind and 0 of different kinds; .* at least 5 of each"),
        (drawn(lambda d: d > 2), "0 are of the same kind and 4000 of different kinds"),
        (drawn(steps, queries=3, results=30), "fewer than 5 queries"),
        (Pairs.of([]), "There are 0 judged pairs"),
    ],
)
def test_too_little_is_refused(pairs: Pairs, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        fit(pairs)


# Scores


CURVES = [Logistic(3.0, -8.0), Isotonic((0.0, 0.1, 0.4, 0.9), (1.0, 0.9, 0.6, 0.1)), Logistic(0.5, 0.0)]


@pytest.mark.parametrize("curve", [*CURVES, fit_isotonic(drawn(steps))], ids=str)
def test_distance_for_is_the_largest_that_has_the_score(curve: Any) -> None:
    calibration = Calibration(curve)
    assert 0 <= calibration.score(2) <= calibration.score(0) <= 100
    for score in (0, 0.1, 5, 33.3, 50, 62.2, 62.3, 75, 90, 99.9, 100):
        distance = calibration.distance_for(score)
        if distance is None:
            assert calibration.score(0) < score
            continue
        assert calibration.score(distance) >= score
        assert distance == 2 or calibration.score(distance + 1e-6) < score


def test_scores_have_one_decimal() -> None:
    calibration = Calibration(Isotonic((0.0, 1.0), (1.0, 0.0)))
    assert calibration.scores([0, 0.12345, 1, 2]) == [100, 87.7, 0, 0]
    assert calibration.scores([]) == []


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_json_keeps_everything(curve: Any) -> None:
    calibration = Calibration(curve, {"by": "category", "pairs": 300})
    assert Calibration.from_dict(json.loads(json.dumps(calibration.as_dict()))) == calibration


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        {},
        {"method": "spline"},
        {"method": "logistic", "intercept": 1},
        {"method": "logistic", "intercept": 1, "slope": 0.1},
        {"method": "logistic", "intercept": float("nan"), "slope": -1},
        {"method": "isotonic", "distances": [], "probabilities": []},
        {"method": "isotonic", "distances": [0, 1], "probabilities": [1]},
        {"method": "isotonic", "distances": [0, 1], "probabilities": [0.2, 0.3]},
        {"method": "isotonic", "distances": [1, 0], "probabilities": [1, 0.3]},
        {"method": "isotonic", "distances": [0, 1], "probabilities": [1.5, 0.3]},
        {"method": "isotonic", "distances": [0, "x"], "probabilities": [1, 0.3]},
        {"method": "isotonic", "distances": [0, 1], "probabilities": [1, float("nan")]},
        {"method": "isotonic", "distances": [0, 1], "probabilities": [1, 0], "fitted": 3},
    ],
    ids=str,
)
def test_what_is_no_calibration_is_refused(stored: Any) -> None:
    with pytest.raises(CalibrationError, match="This is no calibration"):
        Calibration.from_dict(stored)


# Reliability


def test_reliability_by_hand() -> None:
    pairs = Pairs.of([(0.1, True, 1, 0), (0.1, False, 1, 0), (0.9, False, 2, 1)])
    found = reliability(np.array([0.8, 0.8, 0.1]), pairs)
    assert [(part.low, part.predicted, part.observed, part.pairs) for part in found.bins] == [
        (0.1, pytest.approx(0.1), 0, 1),
        (0.8, pytest.approx(0.8), 0.5, 2),
    ]
    assert found.ece == pytest.approx(0.5 * 0.3 + 0.5 * 0.1)
    assert found.brier == pytest.approx((0.04 + 0.64 + 2 * 0.01) / 4)
    assert found.log_loss == pytest.approx(-(np.log(0.8) + np.log(0.2) + 2 * np.log(0.9)) / 4)


def test_a_wrong_certainty_has_a_finite_log_loss() -> None:
    assert np.isfinite(reliability(np.array([1.0]), Pairs.of([(0.1, False, 1, 0)])).log_loss)


def test_a_calibration_that_holds_has_a_small_error() -> None:
    pairs = drawn(steps, queries=2000)
    assert reliability(steps(pairs.distances), pairs).ece < 0.02
    assert reliability(1 - pairs.distances, pairs).ece > 0.05
