"""Keras's MobileNetV2 as an encoder: global average pooling over its last feature map (Sandler et al. 2018)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from visualsearch.conf import conf
from visualsearch.encoders.base import Encoder, Vectors
from visualsearch.encoders.model_file import ModelDescription, ModelFile, configured_weights
from visualsearch.exceptions import EncoderError

RUNTIMES = ("litert", "tensorflow")
FROM_SETTINGS = "from the settings"

Pixels = npt.NDArray[np.uint8]


class Runtime(Protocol):
    """Runs a model: uint8 (side, side, 3) arrays in, float32 (n, dimensions) out. Safe under threads."""

    def run(self, batch: Sequence[Pixels]) -> Vectors: ...


class MobileNetV2(Encoder):
    """Width 1.0: the default. P@1 0.777 on clothing (test against train) with ImageNet weights."""

    description: ClassVar[ModelDescription] = ModelDescription("mobilenet_v2", width=1.0)
    name = description.name
    dimensions = description.dimensions

    def __init__(self, weights: str | os.PathLike[str] | None = FROM_SETTINGS) -> None:
        """``weights`` as in ModelFile; by default what ``VISUALSEARCH["WEIGHTS"]`` says for this encoder."""
        chosen = configured_weights(type(self)) if weights == FROM_SETTINGS else weights
        self.file = ModelFile(self.description, chosen)
        self._runtimes: dict[tuple[object, ...], Runtime] = {}

    @property
    def fingerprint(self) -> str:
        """Hex digest of weights, width and preprocessing; one ``stat`` once the weights file has been read.

        Raises EncoderNotBuilt where the weights have not been exported, InvalidWeights where they do not
        exist.
        """
        if runtime_name() == "litert":
            self.file.built_path()
        return self.file.fingerprint

    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        """Pooled features of upright RGB images: float32 (n, dimensions), before scaling to unit length."""
        return self._runtime().run([self.pixels(image) for image in images])

    def pixels(self, image: Image.Image) -> Pixels:
        """The whole image as the model sees it: uint8 (side, side, 3)."""
        if image.mode != "RGB":
            raise EncoderError(f"The encoder was given an image of mode {image.mode}; it takes RGB.")
        return np.asarray(self.prepare(image))

    def prepare(self, image: Image.Image) -> Image.Image:
        """The whole image at the model's size."""
        size = (self.description.side, self.description.side)
        # A gap of 3 shrinks large pictures by whole factors first and differs from a plain resize by a
        # level or two.
        return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)

    def _runtime(self) -> Runtime:
        """The loaded model of the weights that are there now: a replaced weights file is never mixed with the old."""
        runtime, fingerprint = runtime_name(), self.fingerprint
        key = (runtime, fingerprint)
        if key not in self._runtimes:
            self._runtimes.setdefault(key, self._new_runtime(runtime))
            for old in [other for other in self._runtimes if other != key]:
                self._runtimes.pop(old, None)
        return self._runtimes[key]

    def _new_runtime(self, runtime: str) -> Runtime:
        if runtime == "tensorflow":
            from visualsearch.encoders.keras_zoo import KerasRuntime

            return KerasRuntime(self.file)
        from visualsearch.encoders.litert import LiteRTRuntime

        return LiteRTRuntime(self.file.built_path(), self.description, threads=conf.THREADS)


class MobileNetV2Compact(MobileNetV2):
    """Width 0.35: several times faster, for small machines and live previews. P@1 0.672 on clothing."""

    description: ClassVar[ModelDescription] = ModelDescription("mobilenet_v2_compact", width=0.35)
    name = description.name


def runtime_name() -> str:
    """``VISUALSEARCH["RUNTIME"]``. Raises EncoderError where it is none of the valid choices."""
    if conf.RUNTIME not in RUNTIMES:
        raise EncoderError(
            f"VISUALSEARCH['RUNTIME'] is {conf.RUNTIME!r}; choose one of {', '.join(RUNTIMES)}."
        )
    return str(conf.RUNTIME)
