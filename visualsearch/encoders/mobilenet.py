"""Keras's MobileNetV2 as an encoder: its last feature map, averaged over the picture (Sandler et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from visualsearch.conf import conf
from visualsearch.encoders.base import Encoder, Maps, Vectors, unit_rows
from visualsearch.encoders.head import Head
from visualsearch.encoders.model_file import ModelDescription, ModelFile, configured_weights
from visualsearch.exceptions import EncoderError, NoFeatureMap

RUNTIMES = ("litert", "tensorflow")

Pixels = npt.NDArray[np.uint8]


class Runtime(Protocol):
    """Runs a model: uint8 (side, side, 3) arrays in, float32 (n, dimensions) out. Safe under threads."""

    def run(self, batch: Sequence[Pixels]) -> Vectors: ...


class MobileNetV2(Encoder):
    """Width 1.0: the default. P@1 0.777 on clothing (test against train) with ImageNet weights."""

    description: ClassVar[ModelDescription] = ModelDescription("mobilenet_v2", width=1.0)
    name = description.name
    dimensions: int = description.dimensions

    def __init__(self, file: ModelFile | None = None) -> None:
        """``file`` is the weights to use; by default those in ``VISUALSEARCH["WEIGHTS"]`` for this encoder."""
        self.file = file or ModelFile(self.description, configured_weights(type(self)))
        self.dimensions = self.file.dimensions
        self._runtimes: dict[tuple[str, str], Runtime] = {}
        self._map_runtimes: dict[tuple[str, tuple[int, int]], Runtime] = {}

    @classmethod
    def labelled(cls, label: str) -> Self:
        return cls(ModelFile(cls.description, configured_weights(cls, label)))

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of weights, width and preprocessing; a few calls of ``stat`` once the file was read.

        Raises EncoderNotBuilt where the weights are not exported yet, InvalidWeights where they do not exist.
        """
        if runtime_name() == "litert":
            self.file.built_path()
        return self.file.fingerprint

    def embed(self, images: Sequence[Image.Image]) -> Vectors:
        """Averaged features of upright RGB images: float32 (n, dimensions), before scaling to unit length."""
        return self._runtime().run([self.pixels(image) for image in images])

    def pixels(self, image: Image.Image) -> Pixels:
        """The whole image as the model sees it: uint8 (side, side, 3)."""
        if image.mode != "RGB":
            raise EncoderError(f"The encoder was given an image of mode {image.mode}; it takes RGB.")
        return np.asarray(self.prepare(image))

    def prepare(self, image: Image.Image) -> Image.Image:
        """The whole image at the model's size."""
        return self._resized(image, (self.description.side, self.description.side))

    @staticmethod
    def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
        # The gap shrinks large pictures by a whole factor first. Measured: at 12 MP 15 ms instead of 37 and at most
        # 2 levels of 255 away from the plain result; below 3 times the side there is no difference at all.
        return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)

    def feature_map(self, images: Sequence[Image.Image], size: tuple[int, int] | None = None) -> Maps:
        """Run by LiteRT whatever the runtime: what a request asks for. Sides of ``size`` are multiples of 32."""
        chosen = size or (self.description.side, self.description.side)
        runtime = self._map_runtime(chosen)
        if wrong := next((image.mode for image in images if image.mode != "RGB"), None):
            raise EncoderError(f"The encoder was given an image of mode {wrong}; it takes RGB.")
        return runtime.run([np.asarray(self._resized(image, chosen)) for image in images])

    def pooled(self, means: Vectors) -> Vectors:
        head = self._head(means.shape[1])
        return means if head is None else head.apply(unit_rows(means, (len(means), means.shape[1])))

    def toward(self, query: Vectors, mean: Vectors) -> tuple[Vectors, float]:
        head = self._head(len(mean))
        if head is None:
            return super().toward(query, mean)
        length = np.linalg.norm(mean).clip(1e-6)
        projected = head.matrix @ (mean / length) + head.bias
        scale = np.hypot(1, head.share)
        back = query[: len(projected)] / (np.linalg.norm(projected).clip(1e-6) * scale)
        direction = (back @ head.matrix + query[len(projected) :] * (head.share / scale)) / length
        return direction.astype(np.float32), float(back @ head.bias)

    def _head(self, features: int) -> Head | None:
        """What stands between the average of so many features and the embedding."""
        finetuned = self.file.finetuned
        if finetuned is None or finetuned.head is None:
            return None
        if finetuned.head.matrix.shape[1] != features:
            raise NoFeatureMap(f"The head of {self.file.source} stands on another head, not on averaged features.")
        return finetuned.head

    def _runtime(self) -> Runtime:
        """The model with the weights that are there now, so that a replaced file is never mixed with the old one."""
        key = (runtime_name(), self.fingerprint)
        runtime = self._runtimes.get(key)
        if runtime is None:
            # setdefault is atomic: threads that arrive together use the same runtime, and it alone loads the model.
            runtime = self._runtimes.setdefault(key, self._new_runtime(key[0]))
            for old in set(self._runtimes) - {key}:
                self._runtimes.pop(old, None)
        return runtime

    def _new_runtime(self, name: str) -> Runtime:
        if name == "tensorflow":
            from visualsearch.encoders.keras_zoo import KerasRuntime

            return KerasRuntime(self.file)
        from visualsearch.encoders.litert import LiteRTRuntime

        description = replace(self.description, dimensions=self.file.dimensions)
        return LiteRTRuntime(self.file.built_path(), description, threads=conf.THREADS)

    def _map_runtime(self, size: tuple[int, int]) -> Runtime:
        """One for each of the sizes asked for last, of the weights that are there now."""
        from visualsearch.encoders.feature_maps import LAST_SIZES, MapRuntime

        key = (self.file.fingerprint, size)
        runtime = self._map_runtimes.pop(key, None)
        if runtime is None:
            runtime = MapRuntime(self.file.built_path(), self.description, conf.THREADS, size)
        self._map_runtimes[key] = runtime  # at the end: those at the front were asked for longest ago
        for old in list(self._map_runtimes)[:-LAST_SIZES]:
            self._map_runtimes.pop(old, None)
        return runtime


class MobileNetV2Compact(MobileNetV2):
    """Width 0.35: several times faster, for small machines and live previews. P@1 0.672 on clothing."""

    description: ClassVar[ModelDescription] = ModelDescription("mobilenet_v2_compact", width=0.35)
    name = description.name


def runtime_name() -> str:
    """``VISUALSEARCH["RUNTIME"]``. Raises EncoderError where it is none of the valid choices."""
    if conf.RUNTIME not in RUNTIMES:
        raise EncoderError(f"VISUALSEARCH['RUNTIME'] is {conf.RUNTIME!r}; choose one of {', '.join(RUNTIMES)}.")
    return str(conf.RUNTIME)
