"""Encoders that need no model, for shops that change from one to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from visualsearch.encoders.base import Vectors
from visualsearch.exceptions import EncoderNotBuilt
from visualsearch.testing import FakeEncoder

RED = "tests.lifecycle.encoders.RedEncoder"


class RedEncoder(FakeEncoder):
    """Sees red much better than green and blue, in twice as many dimensions."""

    name = "red"
    dimensions = 128
    fingerprint = "4ed0" * 16

    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        plain = super().embed(images)
        weights = np.ones(64, np.float32)
        weights[0:48:3] = 9
        return np.concatenate([plain * weights, plain * 0.1], axis=1)


class UnbuiltEncoder(FakeEncoder):
    """One whose model file is not on this machine."""

    name = "unbuilt"

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        raise EncoderNotBuilt("There is no model file on this machine.")
