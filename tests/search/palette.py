"""An encoder whose features have places: each tells the colour that is nearest to what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from visualsearch.encoders.base import Maps, Vectors
from visualsearch.testing import FakeEncoder

KINDS = 4
COLOURS = np.array([(220, 30, 30), (30, 180, 60), (30, 60, 220), (240, 220, 40), (128, 128, 128)], np.float32)
GROUND = (128, 128, 128)  # of no kind of goods
STEP = 32  # pixels to a place


def directions() -> Vectors:
    """Of each colour, float32 (5, dimensions): those of the goods look a little alike, the ground like none."""
    rng = np.random.default_rng(7)
    goods = rng.random((KINDS, FakeEncoder.dimensions))
    ground = rng.normal(0, 0.3, (1, FakeEncoder.dimensions))
    return np.concatenate([goods, ground]).astype(np.float32)


class PaletteEncoder(FakeEncoder):
    """Averages the places of a picture of 128 pixels."""

    name = "palette"

    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        mean: Vectors = self.feature_map(images).mean(axis=(1, 2))
        return mean

    def feature_map(self, images: Sequence[Image.Image], size: tuple[int, int] | None = None) -> Maps:
        width, height = (side // STEP for side in size or (128, 128))
        small: Any = np.stack([image.resize((width, height), Image.Resampling.BOX) for image in images])
        nearest = np.linalg.norm(small[..., None, :] - COLOURS, axis=-1).argmin(axis=-1)
        return directions()[nearest]
