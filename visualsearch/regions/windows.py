"""Windows over a feature map, each pooled to the vector that its part of the picture would have.

One pass of the network for all windows, as in R-MAC (Tolias et al. 2016, https://arxiv.org/abs/1511.05879), with
averages instead of maxima, since it is averages that the index holds. They are one matrix product: an integral image
(Viola and Jones 2001) needs fewer additions, and three times as long, since it goes through memory again and again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.base import Encoder, Maps, Vectors

Cells = npt.NDArray[np.int64]  # (n, 4): x, y, width and height in places of the map
Boxes = npt.NDArray[np.float64]  # (n, 4): the same in fractions of the picture

STEP = 32  # pixels to one place of the map
GRAIN = 2 * STEP  # of the sizes at which pictures are looked at: an interpreter is kept for each, and a shop's are four
SHORTEST = 224  # pixels of the shorter side, at least: fewer places hold no parts
# Sides of the windows in parts of the map's shorter side, and the step from one to the next in parts of a window.
SIDES = (0.3, 0.45, 0.67, 1.0)
STRIDE = 0.25
SCORE_DIGITS = 5  # decimals of a cosine in single precision that every processor agrees on


class Part(NamedTuple):
    """A rectangle of a picture in fractions of its width and height, from the upper left corner."""

    x: float
    y: float
    width: float
    height: float


def map_size(picture: tuple[int, int], longest: int) -> tuple[int, int]:
    """Width and height in pixels, in steps of 64 (224 at least), at which a picture of this size is looked at.

    The proportions are nearly kept, unlike in the index's whole pictures. Measured on goods in photos: of the same
    product among the first 10 the share is 0.59 this way and 0.49 with the photo squeezed to a square.
    """
    scale = longest / max(picture)
    width, height = (max(SHORTEST, round(length * scale / GRAIN) * GRAIN) for length in picture)
    return width, height


@lru_cache(maxsize=32)
def windows(height: int, width: int) -> Cells:
    """Square windows of four sizes over a map of so many places, the whole shorter side at the largest: (n, 4)."""
    found = set()
    for part in SIDES:
        side = max(2, round(part * min(height, width)))
        stride = max(1, round(side * STRIDE))
        across = {*range(0, width - side + 1, stride), width - side}
        down = {*range(0, height - side + 1, stride), height - side}
        found |= {(x, y, side, side) for x in across for y in down}
    cells = np.array(sorted(found), dtype=np.int64)
    cells.flags.writeable = False  # it is kept
    return cells


@lru_cache(maxsize=8)
def _averaging(height: int, width: int) -> npt.NDArray[np.float32]:
    """A matrix (n, height * width) that averages a map's places over each of its windows."""
    cells = windows(height, width)
    matrix = np.zeros((len(cells), height, width), dtype=np.float32)
    for row, (x, y, across, down) in zip(matrix, cells, strict=True):
        row[y : y + down, x : x + across] = 1 / (across * down)
    return matrix.reshape(len(cells), -1)


def pooled(feature_map: Maps, encoder: Encoder) -> Vectors:
    """Unit vectors, float32 (n, dimensions), of the ``windows`` over one map, float32 (h, w, d)."""
    height, width, depth = feature_map.shape
    vectors = encoder.pooled(_averaging(height, width) @ feature_map.reshape(-1, depth))
    # A window where nothing is active has no direction; it is like nothing.
    vectors /= np.sqrt(np.einsum("nd,nd->n", vectors, vectors)).clip(1e-6)[:, None]
    return vectors


def boxes(cells: Cells, shape: tuple[int, ...]) -> Boxes:
    """The windows in fractions of the picture whose map has this shape (h, w, ...)."""
    height, width = shape[:2]
    fractions: Boxes = cells / np.array([width, height, width, height], dtype=np.float64)
    return fractions


def overlap(one: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """Intersection over union of a box (4) with each of others (n, 4)."""
    corner = np.minimum(one[:2] + one[2:], others[:, :2] + others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared = corner.clip(0).prod(axis=1)
    ratio: npt.NDArray[np.float64] = shared / (one[2:].prod() + others[:, 2:].prod(axis=1) - shared)
    return ratio


def unlike(candidates: Boxes, scores: npt.NDArray[np.floating], limit: int, most: float) -> list[int]:
    """Non-maximum suppression: the best boxes, best first, none overlapping a better one by more than ``most``.

    Of scores that differ by rounding alone the first is better, so that every processor keeps the same.
    """
    left = [int(number) for number in np.argsort(-scores.round(SCORE_DIGITS), kind="stable")]
    kept: list[int] = []
    while left and len(kept) < limit:
        best = left.pop(0)
        kept.append(best)
        if left:
            apart = overlap(candidates[best], candidates[left]) <= most
            left = [number for number, fine in zip(left, apart, strict=True) if fine]
    return kept
