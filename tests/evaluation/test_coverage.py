from __future__ import annotations

import numpy as np
import pytest

from visualsearch.evaluation.coverage import precision_by_coverage, wilson


def test_by_hand() -> None:
    curve = precision_by_coverage([0.5, 0.9, 0.7, 0.6], [False, True, True, False])
    assert curve.score.tolist() == [0.9, 0.7, 0.6, 0.5]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.precision.tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert (curve.low <= curve.precision).all()
    assert (curve.precision <= curve.high).all()
    assert [curve.at(share) for share in (0.1, 0.25, 0.3, 1)] == [0, 0, 1, 3]


def test_answers_of_equal_score_are_shown_or_hidden_together() -> None:
    """In whatever order they come: a threshold cannot tell them apart."""
    for right in ([True, False, True, False], [False, True, False, True]):
        curve = precision_by_coverage([0.8, 0.8, 0.4, 0.4], right)
        assert curve.score.tolist() == [0.8, 0.4]
        assert curve.precision.tolist() == [0.5, 0.5]


def test_wilson_as_published() -> None:
    """Agresti and Coull 1998: none of 10 gives 0 to 0.278; 5 of 10 gives 0.237 to 0.763."""
    low, high = wilson([0, 0.5], [10, 10])
    assert np.round(low, 3).tolist() == [0, 0.237]
    assert np.round(high, 3).tolist() == [0.278, 0.763]


def test_what_is_no_curve() -> None:
    with pytest.raises(ValueError, match="for each answer"):
        precision_by_coverage([], [])
    with pytest.raises(ValueError, match="for each answer"):
        precision_by_coverage([0.5, 0.6], [True])
