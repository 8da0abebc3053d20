"""What reorders results, on numbers alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search.crowd import around
from visualsearch.search.feedback import LIKED, UNLIKED, moved, unit
from visualsearch.search.ranking import folded, various
from visualsearch.search.sameness import COPY, by_chance


def test_rows_are_folded_into_the_first_near_one() -> None:
    rows = around([0.0, 0.01, 0.5, 0.51, 0.02, 1.0])
    assert folded(rows, 1e-3) == [0, 0, 2, 2, 0, 5]
    assert folded(rows, 0) == [0, 1, 2, 3, 4, 5]
    assert folded(rows[:4], 1e-3) == folded(rows, 1e-3)[:4]


def test_what_is_folded_leads_nobody() -> None:
    """A chain of near rows does not fold into one: the third is near the second, and not near the first."""
    assert folded(around([0.0, 0.04, 0.08]), 1e-3) == [0, 0, 2]


def test_variety_takes_the_nearest_first_and_then_what_is_unlike_it() -> None:
    rows = around([0.1, 0.11, 0.12, -0.4])
    likeness = rows[:, 0].astype(np.float64)
    assert various(likeness, rows, 0.0, []) == [0, 1, 2, 3]
    assert various(likeness, rows, 0.5, [])[:2] == [0, 3]
    assert various(likeness, rows, 1.0, [])[:2] == [0, 3]


def test_variety_goes_on_from_what_was_shown() -> None:
    rng = np.random.default_rng(3)
    rows = np.stack([unit(row) for row in rng.random((30, 8)).astype(np.float32)])
    likeness = rows[:, 0].astype(np.float64)
    whole = various(likeness, rows, 0.4, [])
    for shown in (1, 7, 29, 30):
        assert whole[:shown] + various(likeness, rows, 0.4, sorted(whole[:shown])) == whole


def test_feedback_moves_towards_and_away() -> None:
    query, liked, unliked = around([0.0, 0.5, -0.5])
    towards = moved(query, [liked], [])
    assert float(towards @ liked) > float(query @ liked)
    assert np.allclose(towards, unit(query + LIKED * liked))
    away = moved(query, [], [unliked])
    assert float(away @ unliked) < float(query @ unliked)
    assert np.allclose(away, unit(query - UNLIKED * unliked))
    assert np.allclose(moved(query, [liked, liked], []), towards, atol=1e-6)


def test_feedback_that_leaves_nothing_leaves_the_query() -> None:
    (query,) = around([0.0])
    assert (moved(query, [-query / np.float32(LIKED)], []) == query).all()


@pytest.mark.parametrize("copies", [0, 30, 60])
def test_the_law_of_the_nearest_is_found_beside_copies(copies: int) -> None:
    """Of a Weibull law of shape 2 and scale 0.1, one in a hundred lies below 0.1 * sqrt(-log(0.99)) = 0.0100."""
    rng = np.random.default_rng(5)
    different, same = 0.1 * rng.weibull(2, 400), rng.random(copies) * 0.9 * COPY
    assert by_chance(np.concatenate([different, same])) == pytest.approx(0.0100, rel=0.35)


@pytest.mark.parametrize("distances", [[], [0.1] * 19, [0.1] * 200, [0.0] * 200, [1e-9, 0.5]])
def test_where_there_is_no_law_only_copies_are_the_same(distances: list[float]) -> None:
    assert by_chance(distances) == COPY
