"""Which weights a MobileNetV2 has, the fingerprint they give, and the file they are exported to. Loads no model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from visualsearch.conf import conf
from visualsearch.encoders import BUNDLED
from visualsearch.exceptions import EncoderError, EncoderNotBuilt, InvalidWeights

BUNDLED_WEIGHTS = Path(__file__).parent / "weights"
NAMED_WEIGHTS = ("imagenet", "random")
EXPECTED = 'expected "imagenet", "random", or the path of a .weights.h5 or .tflite file'


@dataclass(frozen=True)
class ModelDescription:
    """A MobileNetV2: all that decides its embeddings, apart from the weights."""

    name: str
    width: float  # "alpha" in Keras: the channels of every layer are multiplied by it
    side: int = 224  # pixels, of the square that the whole image is resized to
    dimensions: int = 1280
    preprocessing: str = "whole image, bilinear with antialias, reducing gap 3, pixels to -1..1, version 1"


@dataclass(frozen=True)
class ModelFile:
    """The weights chosen for a model: None (bundled), "imagenet", "random", or a .h5 or .tflite file's path."""

    description: ModelDescription
    weights: str | os.PathLike[str] | None

    def __post_init__(self) -> None:
        if self.weights is None or self.weights in NAMED_WEIGHTS:
            return
        if not isinstance(self.weights, str | os.PathLike) or Path(self.weights).suffix not in (
            ".h5",
            ".tflite",
        ):
            raise InvalidWeights(f"The weights of {self.description.name} are {self.weights!r}; {EXPECTED}.")

    @cached_property
    def source(self) -> Path | str:
        """The file that the weights come from, or "imagenet" or "random"."""
        if self.weights is None:
            return BUNDLED_WEIGHTS / f"{self.description.name}.tflite"
        return (
            str(self.weights) if self.weights in NAMED_WEIGHTS else Path(self.weights).expanduser().absolute()
        )

    @property
    def is_exported(self) -> bool:
        """Whether the weights are themselves a .tflite file, so that nothing has to be built."""
        return isinstance(self.source, Path) and self.source.suffix == ".tflite"

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the weights (a file's bytes, or the name), the preprocessing and the width.

        Raises EncoderNotBuilt where the bundled file is absent, InvalidWeights where another one is.
        """
        weights = _digest(self._existing_source()) if isinstance(self.source, Path) else self.source
        recipe = (
            f"MobileNetV2 {self.description.width} {self.description.side}\n{self.description.preprocessing}"
        )
        return hashlib.sha256(f"{recipe}\n{weights}".encode()).hexdigest()

    @property
    def path(self) -> Path:
        """Where the .tflite file is, or would be. Raises as ``fingerprint`` does."""
        if self.is_exported:
            return self._existing_source()
        return conf.model_cache / f"{self.description.name}-{self.fingerprint[:16]}.tflite"

    @property
    def is_built(self) -> bool:
        return self.path.is_file()

    def built_path(self) -> Path:
        """Where the .tflite file is. Raises EncoderNotBuilt, with what to do, where it has not been exported."""
        path = self.path
        if not path.is_file():
            raise EncoderNotBuilt(
                f"{self.description.name} has not been built from {self.source}; run: "
                f"manage.py visualsearch_encoder build {self.description.name} --weights {self.source}"
            )
        return path

    def _existing_source(self) -> Path:
        source = Path(self.source)
        if source.is_file():
            return source
        if self.weights is not None:
            raise InvalidWeights(f"There is no weights file {source}.")
        raise EncoderNotBuilt(
            f"This installation has no bundled weights for {self.description.name}; set VISUALSEARCH['WEIGHTS'] to "
            f'"imagenet" or to the path of a .weights.h5 file, then run: '
            f"manage.py visualsearch_encoder build {self.description.name}"
        )


def configured_weights(encoder: type) -> str | os.PathLike[str] | None:
    """``VISUALSEARCH["WEIGHTS"]`` for an encoder class.

    A plain value is meant for the encoder in ``VISUALSEARCH["ENCODER"]``; every other one has its bundled weights. A
    dict gives each encoder its own, keyed as ENCODER names it. Raises EncoderError for a key that names no encoder.
    """
    path = f"{encoder.__module__}.{encoder.__qualname__}"
    setting = conf.WEIGHTS
    if not isinstance(setting, Mapping):
        return setting if BUNDLED.get(conf.ENCODER, conf.ENCODER) == path else None
    if unknown := [key for key in setting if key not in BUNDLED and "." not in str(key)]:
        raise EncoderError(
            f"VISUALSEARCH['WEIGHTS'] names {', '.join(map(repr, unknown))}, which is no encoder; its keys are "
            f"{', '.join(BUNDLED)}, or dotted paths."
        )
    return {BUNDLED.get(key, key): weights for key, weights in setting.items()}.get(path)


def _digest(path: Path) -> str:
    stat = path.stat()
    return _file_digest(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=16)
def _file_digest(path: Path, mtime_ns: int, size: int, inode: int) -> str:
    """SHA-256 of a file, read again only after it changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
