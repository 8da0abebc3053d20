"""Closed-form heads against what they are defined as."""

from __future__ import annotations

import numpy as np
import pytest

from visualsearch.contrib.training.exceptions import TrainingError
from visualsearch.contrib.training.heads import Spread, dimensions_to_try


def clouds(count: int, dimensions: int = 40, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes that lie a little apart, and much wider in their first directions than in the others."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    wide = rng.normal(size=(count, dimensions)) * np.linspace(3, 0.1, dimensions)
    centres = rng.normal(size=(classes, dimensions)) * 0.5
    rows = (wide + centres[labels]).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def shrunk_covariance(rows: np.ndarray, labels: np.ndarray, shrinkage: float) -> np.ndarray:
    apart = np.concatenate([rows[labels == one] - rows[labels == one].mean(0) for one in np.unique(labels)])
    covariance = apart.astype(np.float64).T @ apart / len(apart)
    return covariance + shrinkage * np.trace(covariance) / len(covariance) * np.eye(len(covariance))


@pytest.mark.parametrize("count", [24, 400], ids=["fewer pictures than dimensions", "more"])
def test_whitening_makes_the_spread_within_classes_even(count: int) -> None:
    rows, labels = clouds(count)
    projection = Spread.of(rows, labels).discriminant(0.3)
    seen = projection.matrix.astype(np.float64) @ shrunk_covariance(rows, labels, 0.3) @ projection.matrix.T
    assert np.abs(seen / seen[0, 0] - np.eye(40)).max() < 1e-3


@pytest.mark.parametrize("count", [24, 400])
def test_discriminant_directions_solve_fishers_problem(count: int) -> None:
    """They are the leading eigenvectors of inverse(within) between."""
    rows, labels = clouds(count)
    projection = Spread.of(rows, labels).discriminant(1.0, 10)
    assert projection.matrix.shape == (3, 40)  # four classes are parted by three directions
    counts = np.bincount(labels)
    means = np.stack([rows[labels == one].mean(0) for one in range(4)]) - rows.mean(0)
    between = (means * counts[:, None]).T.astype(np.float64) @ means
    values, vectors = np.linalg.eig(np.linalg.solve(shrunk_covariance(rows, labels, 1.0), between))
    leading = np.real(vectors[:, np.argsort(-np.real(values))[:3]]).T
    cosines = np.abs(unit(projection.matrix.astype(np.float64)) @ unit(leading).T)
    assert np.abs(np.diag(cosines) - 1).max() < 1e-3
    assert projection.first(2).matrix.shape == (2, 40)


def test_many_classes_give_the_same_directions_as_few() -> None:
    """Beyond as many classes as dimensions, another way to compute them is taken."""
    rows, labels = clouds(600, classes=60)
    spread = Spread.of(rows, labels)
    seen = spread.discriminant(0.5, 40).directions(rows)
    whitened = spread.discriminant(0.5).directions(rows)
    assert np.abs(seen @ seen.T - whitened @ whitened.T).max() < 1e-3  # all directions: a rotation of whitening


def test_the_centre_is_taken_off() -> None:
    rows, labels = clouds(100)
    projection = Spread.of(rows, labels).discriminant(0.3, 3)
    at_centre = rows.mean(0, keepdims=True) @ projection.matrix.T + projection.bias
    assert np.abs(at_centre).max() < 1e-4


@pytest.mark.parametrize(
    "rows",
    [np.eye(5, dtype=np.float32), np.ones((5, 5), np.float32) / np.sqrt(5).astype(np.float32)],
    ids=["one picture a class", "all the same"],
)
def test_nothing_to_learn_from(rows: np.ndarray) -> None:
    labels = np.arange(5) if rows[0, 1] == 0 else np.zeros(5, np.int64)
    with pytest.raises(TrainingError, match="No class has two pictures that differ"):
        Spread.of(rows, labels)


def test_dimensions_to_try() -> None:
    assert dimensions_to_try(10, 1280, False) == [8, 9]
    assert dimensions_to_try(2, 1280, False) == [1]
    assert dimensions_to_try(5000, 1280, True) == [8, 16, 32, 64, 128, 256, 512, None]
    assert dimensions_to_try(100, 48, False) == [8, 16, 32, 48]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
