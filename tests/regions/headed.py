"""The bundled encoder, and the same with a head of random numbers folded into its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from visualsearch.contrib.training.folding import fold
from visualsearch.encoders.head import EncoderFile, Head
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.encoders.model_file import ModelFile

BUNDLED = MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, None))


def headed(folder: Path) -> MobileNetV2Compact:
    generator = np.random.default_rng(1)
    matrix = generator.normal(0, 0.1, (32, 1280)).astype(np.float32)
    head = Head(matrix, generator.normal(0, 0.1, 32).astype(np.float32), 0.5, BUNDLED.fingerprint)
    described = EncoderFile("mobilenet_v2_compact", head.dimensions, head, {})
    path = folder / "headed.tflite"
    path.write_bytes(described.appended_to(fold(BUNDLED.file.built_path(), head)))
    return MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, path))
