"""Windows of a picture that look like something in the index: the index is the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import models
from PIL import Image

from visualsearch.encoders.base import Encoder, Vectors
from visualsearch.models import VisualIndex
from visualsearch.regions.centroids import centroids_of
from visualsearch.regions.windows import Boxes, boxes, map_size, pooled, unlike, windows
from visualsearch.stores.together import Near, nearest_of_each

LONGEST = 640  # pixels of the longer side at which a picture is looked at: 20 places
SIDE = LONGEST // 2  # what ``open_image`` is to be asked for: it keeps twice as many pixels
ASKED = 8  # windows that the index is asked about
# Windows are alike where their intersection is more than this part of their union: eight that are not find as much as a
# dozen does, and nearly as much as all windows compared with all products (docs/search.md).
ALIKE = 0.3


@dataclass(frozen=True, eq=False)
class View:
    """A picture's windows, each with its box, (n, 4), and its unit vector, (n, dimensions), and ``whole``, its own."""

    boxes: Boxes
    vectors: Vectors
    whole: Vectors


@dataclass(frozen=True, eq=False)
class Candidates:
    """Windows that the index was asked about and the whole picture, which is the last: box, unit vector, neighbours."""

    boxes: Boxes  # (n + 1, 4)
    vectors: Vectors  # (n + 1, dimensions)
    near: list[list[Near]]  # nearest first; empty where nothing is eligible

    @property
    def similarities(self) -> Vectors:
        """Of each to its nearest neighbour, float32 (n + 1); -1 where it has none."""
        return np.array([1 - near[0].distance if near else -1.0 for near in self.near], dtype=np.float32)


def view_of(encoder: Encoder, picture: Image.Image) -> View:
    """All windows of an upright RGB picture: the encoder runs over it as always, and over a larger copy for the
    windows. Raises NoFeatureMap."""
    (feature_map,) = encoder.feature_map([picture], map_size(picture.size, LONGEST))
    cells = windows(*feature_map.shape[:2])
    return View(boxes(cells, feature_map.shape), pooled(feature_map, encoder), encoder.encode([picture])[0])


def look(
    view: View,
    index: VisualIndex,
    eligible: models.QuerySet[Any],
    *,
    limit: int,
    distinct: str | None = None,
    asked: int = ASKED,
) -> Candidates:
    """The windows that look most like what the index holds, with their neighbours.

    They are scored against the index's centroids, those alike are dropped, and the best are asked of the store in one
    statement, each for its ``limit`` nearest of the ``eligible`` images.
    """
    centroids = centroids_of(index)
    every = len(view.boxes)
    scores = (view.vectors @ centroids.T).max(axis=1) if len(centroids) else np.zeros(every, np.float32)
    chosen = unlike(view.boxes, scores, asked, ALIKE)
    vectors = np.concatenate([view.vectors[chosen], view.whole[None]])
    places = np.concatenate([view.boxes[chosen], [[0.0, 0.0, 1.0, 1.0]]])
    return Candidates(places, vectors, nearest_of_each(index, vectors, eligible, limit, distinct=distinct))
