"""What an encoder is: upright RGB images in, unit vectors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from visualsearch.exceptions import EncoderError, NoFeatureMap

Vectors = npt.NDArray[np.float32]
Maps = npt.NDArray[np.float32]


def unit_rows(vectors: Vectors, expected: tuple[int, int]) -> Vectors:
    """The rows scaled to unit length, float32. Raises EncoderError for another shape than ``expected``, and for a
    row that has no direction."""
    if vectors.shape != expected:
        raise EncoderError(f"The encoder returned an array of shape {vectors.shape}, expected {expected}.")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise EncoderError("The encoder returned a vector that is not finite or is zero.")
    scaled: Vectors = (vectors / lengths).astype(np.float32)
    return scaled


class Encoder(ABC):
    """Turns images into unit vectors that are near each other when the images look alike.

    A subclass sets ``name`` and ``dimensions`` and implements ``fingerprint`` and ``embed``. Instances are made
    without arguments, live as long as the process, are called from several threads at once, and may find themselves
    in a forked child of the process that made them.
    """

    name: ClassVar[str]
    dimensions: int  # of the class, or of each instance where its file says so
    batch_size: ClassVar[int] = 8

    @classmethod
    def labelled(cls, label: str) -> Self:
        """The instance for the name ``...@label``: this model with other weights. Raises EncoderError where the
        class has but one set of them."""
        raise EncoderError(f"The encoder {cls.name!r} has no further weights, so none under the label {label!r}.")

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of weights and preprocessing. Vectors of different fingerprints are never compared.

        Reading it must not load the model. Raises EncoderNotBuilt where there is no model to load.
        """

    @abstractmethod
    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        """Embeddings of at most ``batch_size`` upright RGB images: float32 (n, dimensions), any length."""

    def feature_map(self, images: Sequence[Image.Image], size: tuple[int, int] | None = None) -> Maps:
        """Features by place of upright RGB images: float32 (n, h, w, d), whose mean over places ``pooled`` embeds.

        The images are resized to ``size``, width and height in pixels; None is the size that ``embed`` takes, at which
        the embedding is that of ``embed``. Raises NoFeatureMap where the encoder averages no places.
        """
        raise NoFeatureMap(f"The encoder {self.name!r} gives no feature map, so it finds no parts of a picture.")

    def pooled(self, means: Vectors) -> Vectors:
        """Embeddings, float32 (n, dimensions), any length, of averages of features over places, (n, d)."""
        return means

    def toward(self, query: Vectors, mean: Vectors) -> tuple[Vectors, float]:
        """What makes the cosine of a unit query (dimensions) and ``pooled`` of an average (d) a sum over places.

        Of a direction (d) and a constant: the cosine is the average over all places of direction . features + constant.
        """
        return query / np.linalg.norm(mean).clip(1e-6), 0.0

    def prepare(self, image: Image.Image) -> Image.Image:
        """What ``embed`` needs of an upright RGB image, e.g. a smaller one. Threads that decode call it ahead of it."""
        return image

    def encode(self, images: Sequence[Image.Image]) -> Vectors:
        """Embeddings of any number of upright RGB images: float32 (n, dimensions), rows of unit length.

        Raises EncoderError if the model returns the wrong shape, a value that is not finite, or a zero vector.
        """
        vectors = np.empty((len(images), self.dimensions), dtype=np.float32)
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            expected = (len(batch), self.dimensions)
            vectors[start : start + len(batch)] = unit_rows(np.asarray(self.embed(batch)), expected)
        return vectors
