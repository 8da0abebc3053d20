"""For a shop's own tests: an encoder that needs no model, and indexing switched off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
from django.test import override_settings
from PIL import Image

from visualsearch.encoders.base import Encoder, Vectors


class FakeEncoder(Encoder):
    """Embeds a picture as its 4 x 4 thumbnail's colours: pictures that look alike are near each other.

    Use it with ``VISUALSEARCH = {"ENCODER": "visualsearch.testing.FakeEncoder"}``.
    """

    name = "fake"
    dimensions = 64
    fingerprint = "fa4e" * 16

    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        small = [np.asarray(image.resize((4, 4), Image.Resampling.BOX), dtype=np.float32) / 255 for image in images]
        colours = np.stack(small).reshape(len(images), 48) - 0.5
        # A constant part gives an even grey a direction too.
        return np.concatenate([colours, np.full((len(images), 16), 0.1, np.float32)], axis=1)


def enqueue_nothing(function: str, *args: object, delay: float = 0) -> None:
    """An ENQUEUE that drops what it is given."""


@contextlib.contextmanager
def disable_indexing() -> Iterator[None]:
    """Saves enqueue nothing inside this block."""
    from django.conf import settings

    quiet = {**getattr(settings, "VISUALSEARCH", {}), "ENQUEUE": "visualsearch.testing.enqueue_nothing"}
    with override_settings(VISUALSEARCH=quiet):
        yield
