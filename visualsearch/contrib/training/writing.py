"""The encoder file: a head folded into its base's model, checked against it, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visualsearch.encoders.head import EncoderFile, Head
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.encoders.model_file import ModelFile, write_whole

from .exceptions import TrainingError
from .folding import fold

AGREEMENT = 0.999  # cosine of the file's own vectors and those that its head computes, at least


def check_output(path: Path) -> None:
    """Raises TrainingError where the file cannot be written, before anything slow is done."""
    if path.suffix != ".tflite":
        raise TrainingError(f"--output {path} does not end in .tflite.")
    if path.exists():
        raise TrainingError(f"{path} exists, and an index may be searched with it; name another file.")
    if not path.parent.is_dir():
        raise TrainingError(f"There is no folder {path.parent}.")


def write_encoder(
    path: Path, base: MobileNetV2, head: Head, record: dict[str, Any], *, of_stored: bool = True
) -> MobileNetV2:
    """Write the file of ``base`` with ``head`` behind it; returns its encoder. Without ``of_stored`` the base is in no
    index, so that nothing can be computed from stored vectors.

    Raises TrainingError where it cannot be written, or its vectors are not those that the head computes.
    """
    model = fold(base.file.built_path(), head)
    described = EncoderFile(base.description.name, head.dimensions, head if of_stored else None, record)
    try:
        write_whole(path, described.appended_to(model))
    except OSError as exc:
        raise TrainingError(f"{path} cannot be written: {exc.strerror}.") from exc
    encoder = type(base)(ModelFile(base.description, path))
    picture = [Image.fromarray(np.random.default_rng(0).integers(0, 255, (224, 224, 3), dtype=np.uint8))]
    cosine = float((encoder.encode(picture) * head.apply(base.encode(picture))).sum())
    if not cosine >= AGREEMENT:
        path.unlink()
        raise TrainingError(f"The file's vectors are not those that its head computes: cosine {cosine:.4f}.")
    return encoder
