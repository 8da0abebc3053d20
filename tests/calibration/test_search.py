"""Scores of results: by the version's calibration, at no cost, and never another order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog.models import Product
from tests import shelf
from visualsearch import calibration, search_by_image, similar_to
from visualsearch.calibration import Calibration, calibration_of
from visualsearch.exceptions import CalibrationError
from visualsearch.models import VisualIndex
from visualsearch.presentation import cards
from visualsearch.testing import FakeEncoder

STEPS = {"method": "isotonic", "distances": [0.0, 0.001, 0.002, 1.0], "probabilities": [1.0, 0.8, 0.3, 0.3]}


def test_scores_are_those_of_the_version(shop: list[Product]) -> None:
    VisualIndex.objects.update(calibration=STEPS)
    known = Calibration.from_dict(STEPS)
    for found in (similar_to(shop[0], 20), search_by_image(shelf.picture((220, 20, 20)), 20)):
        assert len(found) == 20
        assert [match.score for match in found] == known.scores([match.distance for match in found])
        assert len({match.score for match in found}) > 2


def test_order_is_that_of_distances_whatever_the_scores(shop: list[Product]) -> None:
    before = similar_to(shop[0], 20)
    for curve in (STEPS, {"method": "logistic", "intercept": 0.3, "slope": 0}):
        VisualIndex.objects.update(calibration=curve)
        found = similar_to(shop[0], 20)
        assert [(match.product, match.distance) for match in found] == [(m.product, m.distance) for m in before]
        scores = [match.score for match in found]
        assert scores == sorted(scores, reverse=True)


def test_a_version_without_a_calibration_has_no_scores(shop: list[Product]) -> None:
    found = similar_to(shop[0], 5)
    assert [match.score for match in found] == [None] * 5
    assert 0 < found[0].distance <= found[4].distance < 0.1
    (first, *_) = cards(shelf.product_source(), found)
    assert (first.score, first.distance) == (None, found[0].distance)


def test_no_query_more_and_no_file_after_the_first(
    shop: list[Product], django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    VisualIndex.objects.update(calibration=STEPS)
    with django_assert_num_queries(2):
        assert similar_to(shop[0], 5)[0].score is not None
    with django_assert_num_queries(2):
        assert search_by_image(shelf.picture(), 5)[0].score is not None
    VisualIndex.objects.update(calibration=None)
    similar_to(shop[0], 5)
    monkeypatch.setattr(calibration, "BUNDLED_CALIBRATIONS", Path("/nowhere"))
    assert similar_to(shop[0], 5)[0].score is None


def test_bundled_calibration_is_found_by_fingerprint(shop: list[Product], monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = Calibration.from_dict(STEPS)
    monkeypatch.setattr(calibration, "bundled_calibrations", lambda: {FakeEncoder.fingerprint: bundled})
    first = similar_to(shop[0], 5)[0]
    assert first.score == bundled.score(first.distance)
    own = {"method": "logistic", "intercept": 0.0, "slope": 0.0}
    VisualIndex.objects.update(calibration=own)
    assert similar_to(shop[0], 5)[0].score == 50
    assert calibration_of(own, FakeEncoder.fingerprint) != bundled


def test_a_calibration_that_somebody_broke_is_named(shop: list[Product]) -> None:
    VisualIndex.objects.update(calibration={"method": "none"})
    with pytest.raises(CalibrationError, match="This is no calibration"):
        similar_to(shop[0], 5)
