"""Windows, their pooling, and what is dropped as alike: without a model or a database."""

from __future__ import annotations

import numpy as np
import pytest

from tests.regions.headed import BUNDLED
from visualsearch.regions.centroids import clustered
from visualsearch.regions.windows import boxes, map_size, overlap, pooled, unlike, windows


@pytest.mark.parametrize(
    ("picture", "size"),
    [((4000, 3000), (640, 512)), ((3024, 4032), (512, 640)), ((30, 90), (224, 640)), ((9, 9), (640, 640))],
)
def test_proportions_are_kept_in_whole_steps(picture: tuple[int, int], size: tuple[int, int]) -> None:
    assert map_size(picture, 640) == size


@pytest.mark.parametrize(("height", "width"), [(21, 21), (16, 21), (21, 7), (7, 7)])
def test_windows_lie_inside_and_reach_the_edges(height: int, width: int) -> None:
    x, y, across, down = windows(height, width).T
    assert x.min() == y.min() == 0
    assert (x + across).max() == width
    assert (y + down).max() == height
    assert across.max() == min(height, width)
    assert boxes(windows(height, width), (height, width, 9)).max() == 1


def test_pooling_is_averaging() -> None:
    feature_map = np.random.default_rng(0).random((9, 11, 5), dtype=np.float32)
    cells = windows(9, 11)
    vectors = pooled(feature_map, BUNDLED)
    for (x, y, across, down), vector in zip(cells, vectors, strict=True):
        mean = feature_map[y : y + down, x : x + across].mean(axis=(0, 1))
        assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_a_window_in_which_nothing_is_active_is_like_nothing() -> None:
    assert not pooled(np.zeros((7, 7, 5), np.float32), BUNDLED).any()


def test_overlap() -> None:
    one = np.array([0.0, 0.0, 0.5, 0.5])
    others = np.array([[0.0, 0.0, 0.5, 0.5], [0.25, 0.0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]])
    assert overlap(one, others) == pytest.approx([1, 1 / 3, 0])


def test_the_best_of_those_alike_is_kept() -> None:
    candidates = np.array([[0.0, 0.0, 0.5, 0.5], [0.05, 0.0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5], [0.0, 0.6, 0.3, 0.3]])
    scores = np.array([0.7, 0.8, 0.6, 0.9])
    assert unlike(candidates, scores, 9, 0.3) == [3, 1, 2]
    assert unlike(candidates, scores, 2, 0.3) == [3, 1]
    assert unlike(candidates, scores, 9, 1.0) == [3, 1, 0, 2]


def test_centroids_stand_for_what_there_is() -> None:
    generator = np.random.default_rng(0)
    middles = np.eye(4, 16, dtype=np.float32)
    vectors = np.repeat(middles, 50, axis=0) + generator.normal(0, 0.05, (200, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    centres = clustered(vectors, 8)
    assert centres.shape == (8, 16)
    assert np.linalg.norm(centres, axis=1) == pytest.approx(np.ones(8), abs=1e-5)
    assert (vectors @ centres.T).max(axis=1).min() > 0.9
    assert clustered(vectors[:5], 8) is not None
    assert np.array_equal(clustered(vectors[:5], 8), vectors[:5])
