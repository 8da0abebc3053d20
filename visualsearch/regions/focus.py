"""What a picture is of: the part whose neighbours in the index are nearest, where they are nearer than the whole's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import models
from PIL import Image

from visualsearch.encoders.base import Encoder, Vectors
from visualsearch.models import VisualIndex
from visualsearch.regions.looking import SIDE as SIDE
from visualsearch.regions.looking import View, look, view_of
from visualsearch.regions.windows import Part

# By how much the cosine of a window and its nearest neighbour must exceed that of the whole picture for the window to
# be the subject. Chosen on clothing/train and catalogue pictures (docs/search.md).
MARGIN = 0.04
WHOLE = Part(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Focus:
    """The subject. ``box`` is None where the whole picture is, and ``vector``, unit float32 (dimensions), its own.

    ``similarity`` is the cosine of the window and its nearest neighbour, ``whole`` the same of the whole picture.
    """

    box: Part | None
    vector: Vectors
    similarity: float
    whole: float


def find_focus(
    encoder: Encoder,
    index: VisualIndex,
    picture: Image.Image,
    eligible: models.QuerySet[Any],
    *,
    view: View | None = None,
) -> Focus:
    """What an upright RGB picture is of, among the ``eligible`` images of the index.

    Open the picture with ``side=SIDE``: small goods need its pixels. ``view`` is that of the picture where it is known.
    One statement; three more once in an hour (``centroids_of``). Raises NoFeatureMap.
    """
    seen = look(view or view_of(encoder, picture), index, eligible, limit=1)
    similarities = seen.similarities
    itself, first = float(similarities[-1]), int(similarities[:-1].argmax())
    if similarities[first] < itself + MARGIN:
        return Focus(None, seen.vectors[-1], itself, itself)
    box = Part(*map(float, seen.boxes[first]))
    # What the window's features saw of its surroundings is out of sight in the crop, and what lies on the window's
    # edges counts less in the features: together they find the product more often than either (docs/search.md).
    together = seen.vectors[first] + encoder.encode([cropped(picture, box)])[0]
    vector: Vectors = together / np.linalg.norm(together)
    return Focus(box, vector, float(similarities[first]), itself)


def cropped(picture: Image.Image, part: Part) -> Image.Image:
    """The part of the picture, at least a pixel wide and high."""
    width, height = picture.size
    left, upper = min(width - 1, round(part.x * width)), min(height - 1, round(part.y * height))
    right, lower = round((part.x + part.width) * width), round((part.y + part.height) * height)
    return picture.crop((left, upper, min(width, max(right, left + 1)), min(height, max(lower, upper + 1))))
