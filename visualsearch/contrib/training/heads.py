"""Heads in closed form: discriminant analysis and whitening over frozen features. numpy alone, seconds on a CPU.

Linear discriminant analysis (Fisher 1936, Rao 1948): directions in which classes lie far apart for their own spread.
The spread within classes is shrunk towards a multiple of the identity, as there are often fewer pictures than
dimensions (Friedman 1989). With all dimensions it is whitening within classes alone (Mikolajczyk and Matas 2007, ICCV),
which needs no more than pairs of views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualsearch.encoders.base import Vectors

from .exceptions import TrainingError

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

SHRINKAGES = (0.1, 0.3, 1.0, 3.0)  # times the mean eigenvalue of the spread within classes
SMALLEST = 1e-10  # of an eigenvalue, beside the largest
FEWEST_DIMENSIONS, MOST_DIMENSIONS = 8, 512  # of a projection that is not whitening alone


@dataclass(frozen=True)
class Projection:
    """x -> matrix x + bias, float32 (n, dimensions) for unit rows (n, base dimensions), before scaling to length 1."""

    matrix: Vectors
    bias: Vectors

    def directions(self, vectors: Vectors) -> Vectors:
        """The projected rows at length 1."""
        projected = vectors @ self.matrix.T + self.bias
        unit: Vectors = projected / np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-6)
        return unit

    def first(self, dimensions: int) -> Projection:
        """The projection on its first dimensions, which part the classes most."""
        return Projection(self.matrix[:dimensions], self.bias[:dimensions])


@dataclass(frozen=True)
class Spread:
    """How pictures of a class differ: what every shrinkage has in common, so that it is computed once.

    ``values`` (r) and ``vectors`` (d, r) are the eigenvalues above zero of the covariance within classes and their
    eigenvectors; ``mean`` is the mean eigenvalue of all d. ``means`` (classes, d) are the classes' means less the mean
    of all, times the root of their number of pictures.
    """

    values: Floats
    vectors: Floats
    mean: float
    means: Floats
    centre: Floats

    @classmethod
    def of(cls, features: Vectors, classes: Integers) -> Spread:
        """Of unit features (n, d) and their classes' numbers (n).

        Classes of one picture say nothing about the spread, but do about where classes are. Raises TrainingError where
        no class has two pictures that differ.
        """
        known, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
        exact = features.astype(np.float64)
        sums = np.zeros((len(known), features.shape[1]))
        np.add.at(sums, codes, exact)
        means, centre = sums / counts[:, None], exact.mean(0)
        apart = (exact - means[codes])[counts[codes] > 1]
        if not len(apart) or np.square(apart).sum() < SMALLEST:
            raise TrainingError("No class has two pictures that differ: there is nothing to learn from.")
        values, vectors = _eigen(apart)
        return cls(values, vectors, float(values.sum() / features.shape[1]), _weighted(means - centre, counts), centre)

    def discriminant(self, shrinkage: float, dimensions: int | None = None) -> Projection:
        """Linear discriminant analysis on its first ``dimensions`` directions; all of the features' without a number.

        All of them are whitening alone: a rotation changes no cosine. Directions beyond the number of classes less one
        part no classes, so that a smaller number is given back where there are fewer.
        """
        if dimensions is None:
            return self._projection(self._whitened(np.eye(len(self.centre)), shrinkage))
        between = self._whitened(self.means, shrinkage)
        if len(between) <= between.shape[1]:
            _, sizes, directions = np.linalg.svd(between, full_matrices=False)
        else:  # many classes: the same directions, from the smaller matrix
            squares, columns = np.linalg.eigh(between.T @ between)
            sizes, directions = np.sqrt(squares[::-1].clip(0)), columns[:, ::-1].T
        parting = max(1, int(np.count_nonzero(sizes > sizes.max() * 1e-6)))
        return self._projection(self._whitened(directions[: min(dimensions, parting)], shrinkage))

    def _whitened(self, rows: Floats, shrinkage: float) -> Floats:
        """The rows times the inverse root of the shrunk covariance.

        Along its eigenvectors, and in all directions that no picture was seen to differ in, by the shrinkage alone.
        """
        floor = 1 / np.sqrt(shrinkage * self.mean)
        scales = 1 / np.sqrt(self.values + shrinkage * self.mean) - floor
        whitened: Floats = floor * rows + ((rows @ self.vectors) * scales) @ self.vectors.T
        return whitened

    def _projection(self, matrix: Floats) -> Projection:
        # The scale is free. That of a typical class's being 1 keeps float32 and the learned head's rates in range.
        scaled = matrix / np.sqrt(np.square(self.means @ matrix.T).sum(1).mean() + 1e-12)
        return Projection(scaled.astype(np.float32), (-scaled @ self.centre).astype(np.float32))


def _eigen(apart: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues above zero of the covariance of rows of mean zero (n, d), and eigenvectors (d, r).

    Of the smaller of the two products, (d, d) or (n, n), which share their eigenvalues.
    """
    if len(apart) >= apart.shape[1]:
        values, vectors = np.linalg.eigh(apart.T @ apart / len(apart))
        seen = values > values.max() * SMALLEST
        return values[seen], vectors[:, seen]
    values, rows = np.linalg.eigh(apart @ apart.T / len(apart))
    seen = values > values.max() * SMALLEST
    return values[seen], apart.T @ rows[:, seen] / np.sqrt(values[seen] * len(apart))


def _weighted(means: Floats, counts: Integers) -> Floats:
    weighted: Floats = np.sqrt(counts)[:, None] * means
    return weighted


def dimensions_to_try(classes: int, features: int, whitening: bool) -> Sequence[int | None]:
    """Numbers of dimensions, the fewest first: all that part the classes, and powers of two below.

    None, whitening alone, is the last, where it was asked for.
    """
    most = min(classes - 1, features, MOST_DIMENSIONS)
    powers = [2**power for power in range(3, 10) if FEWEST_DIMENSIONS <= 2**power < most]
    return [*powers, *([most] if most > 0 else []), *([None] if whitening else [])]
