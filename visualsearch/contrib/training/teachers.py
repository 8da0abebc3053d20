"""The networks that a student can learn from: a name, a weights file or a whole Keras model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from . import blocks
from .exceptions import TrainingError

# ImageNet weights from Keras's own hub, by the name of the encoder of that width.
NAMES = {"mobilenet_v2": 1.0, "mobilenet_v2_compact": 0.35}


@dataclass(frozen=True)
class Teacher:
    """A frozen network. `width` is None, and `blocks` empty, where it is not a MobileNetV2."""

    name: str
    fingerprint: str
    model: Any
    width: float | None

    @property
    def blocks(self) -> list[blocks.Block]:
        return blocks.cut(self.model) if self.width is not None else []

    @property
    def dimensions(self) -> int:
        return int(self.model.output_shape[-1])

    def embedding(self, x: Any) -> Any:
        """Pixels (n, h, w, 3) in [-1, 1], resized where the network has a size of its own -> (n, dimensions)."""
        size = self.model.input_shape[1:3]
        if None not in size and tuple(x.shape[1:3]) != tuple(size):
            x = tf.image.resize(x, size)
        return self.model(x, training=False)


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(name: str) -> Teacher:
    alpha = NAMES[name]
    try:
        model = keras.applications.MobileNetV2(
            input_shape=(224, 224, 3), alpha=alpha, include_top=False, pooling="avg", weights="imagenet"
        )
    except Exception as exc:  # Keras raises a bare Exception where a download fails
        raise TrainingError(f"The ImageNet weights of {name} cannot be fetched: {exc}") from exc
    return Teacher(name, f"imagenet-{alpha}", model, alpha)


def _from_weights(path: Path) -> Teacher:
    alpha = blocks.width_of(path)
    model = blocks.build(alpha)
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as exc:
        raise TrainingError(f"{path} does not fit a MobileNetV2 of width {alpha}: {exc}") from exc
    return Teacher(path.name, _fingerprint(path), model, alpha)


def _from_model(path: Path) -> Teacher:
    try:
        model = keras.models.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as exc:
        raise TrainingError(f"{path} cannot be loaded as a Keras model: {exc}") from exc
    if len(model.input_shape) != 4 or len(model.output_shape) != 2:
        raise TrainingError(f"{path} must map pictures (n, h, w, 3) to vectors (n, dimensions).")
    return Teacher(path.name, _fingerprint(path), model, None)


def find(name: str) -> Teacher:
    """The teacher called `name`: one of NAMES, a `.weights.h5` of a MobileNetV2, or a `.keras` model.

    A `.keras` model takes pixels in [-1, 1] and returns vectors. Raises TrainingError for anything else.
    """
    path = Path(name)
    if name in NAMES:
        return _named(name)
    if not path.is_file():
        raise TrainingError(f"There is no teacher {name}: give a file, or one of {', '.join(NAMES)}.")
    if path.suffix == ".keras":
        return _from_model(path)
    if path.suffix == ".h5":
        return _from_weights(path)
    raise TrainingError(f"{path} is neither a .weights.h5 nor a .keras file.")
