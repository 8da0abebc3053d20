"""Intervals that hold what they say, and comparisons that do not cry wolf."""

from __future__ import annotations

import numpy as np
import pytest

from visualsearch.evaluation.bootstrap import Verdict, better, bootstrap, compare


def test_the_interval_of_a_share() -> None:
    figure = bootstrap(np.repeat([0.0, 1.0], 200))
    assert figure.value == 0.5
    # Two standard errors of a share of 0.5 among 400 are 0.05.
    assert figure.low == pytest.approx(0.45, abs=0.01)
    assert figure.high == pytest.approx(0.55, abs=0.01)
    assert str(figure).startswith("0.500 [0.4")
    assert bootstrap(np.repeat([0.0, 1.0], 200)) == figure, "the same every time"


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = [bootstrap(rng.random(100) < 0.7, resamples=300) for _ in range(200)]
    share = np.mean([figure.low <= 0.7 <= figure.high for figure in held])
    assert 0.9 <= share <= 0.99


def test_a_difference_in_most_queries_is_shown() -> None:
    rng = np.random.default_rng(2)
    before = (rng.random(300) < 0.6).astype(float)
    after = np.maximum(before, rng.random(300) < 0.3)
    found = compare(before, after)
    assert found.verdict is Verdict.BETTER
    assert found.difference.low > 0
    assert found.after == pytest.approx(found.before + found.difference.value)
    assert (found.queries, found.different) == (300, int((before != after).sum()))
    assert compare(after, before).verdict is Verdict.WORSE
    assert better(before, after)
    assert not better(after, before)


def test_pairing_shows_what_two_intervals_hide() -> None:
    before = np.repeat([0.0, 1.0], [120, 280])
    after = before.copy()
    after[:12] = 1.0
    assert bootstrap(before).high > bootstrap(after).low, "each lies inside the other's interval"
    assert compare(before, after).verdict is Verdict.BETTER


def test_chance_is_rarely_called_a_difference() -> None:
    rng = np.random.default_rng(3)
    verdicts = [compare(rng.random(60) < 0.7, rng.random(60) < 0.7, resamples=300).verdict for _ in range(200)]
    assert sum(verdict is not Verdict.NO_DIFFERENCE for verdict in verdicts) <= 20


@pytest.mark.parametrize("different", [0, 1, 4, 5])
def test_a_handful_of_queries_shows_nothing(different: int) -> None:
    """The bootstrap alone would call four of them a difference; even one where there is but one query."""
    before, after = np.zeros(200), np.zeros(200)
    after[:different] = 1
    assert compare(before, after).verdict is Verdict.NO_DIFFERENCE
    if different:
        assert compare(before[:different], after[:different]).verdict is Verdict.NO_DIFFERENCE


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same shape"):
        compare([1, 0, 1], [1, 0])
    with pytest.raises(ValueError, match="one value a query"):
        compare([], [])
