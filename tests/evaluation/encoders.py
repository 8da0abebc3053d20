"""Encoders for tests, other than the fake one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from visualsearch.encoders import Encoder, Vectors
from visualsearch.exceptions import EncoderError
from visualsearch.testing import FakeEncoder


class Muddled(Encoder):
    """Sees nothing in a picture but a number that follows from its colours in no sensible way."""

    name = "muddled"
    dimensions = 64
    fingerprint = "3dd1" * 16

    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        seeds = [int(np.asarray(image, dtype=np.int64).sum()) for image in images]
        return np.stack([np.random.default_rng(seed).normal(size=64) for seed in seeds]).astype(np.float32)


class Twin(FakeEncoder):
    """Another fingerprint, the same vectors."""

    name = "twin"
    fingerprint = "791e" * 16


class Particular(FakeEncoder):
    """Takes no dark pictures."""

    name = "particular"
    fingerprint = "9a27" * 16

    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        if any(max(image.getpixel((0, 0))) < 60 for image in images):
            raise EncoderError("It is too dark.")
        return super().embed(images)


class Broken(FakeEncoder):
    """Its model file is damaged."""

    name = "broken"
    fingerprint = "b08e" * 16

    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        raise EncoderError("The model is damaged.")
