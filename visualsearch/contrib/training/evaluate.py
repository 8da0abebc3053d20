"""A Keras model on folders of class sub-folders: its pictures and its embeddings, without an export.

Pictures are resized whole, as search does. The measures are those of `visualsearch.evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visualsearch.evaluation.measures import Vectors
from visualsearch.evaluation.pictures import class_folders

from .data import Pixels, attempt
from .exceptions import NoPictures


@dataclass(frozen=True)
class Labelled:
    """Pictures with a class each: uint8 (n, size, size, 3); `unreadable` lists (path, reason) of those left out."""

    pixels: Pixels
    labels: list[str]
    unreadable: list[tuple[Path, str]]


def labelled(folder: Path, size: int = 224) -> Labelled:
    """A folder of class sub-folders, each picture resized whole to `size` px, bilinear.

    Raises EvaluationError where there is no class sub-folder with a picture, NoPictures where none can be read.
    """
    pixels, labels, unreadable = [], [], []
    for picture in class_folders(folder).queries:
        path = Path(picture.key)
        read = attempt(path)
        if isinstance(read, str):
            unreadable.append((path, read))
        else:
            pixels.append(np.asarray(Image.fromarray(read).resize((size, size), Image.Resampling.BILINEAR)))
            labels.append(picture.label)
    if not pixels:
        raise NoPictures(f"None of the {len(unreadable)} pictures in {folder} can be read.")
    return Labelled(np.stack(pixels), labels, unreadable)


def embed(model: Any, pixels: Pixels, batch_size: int = 32) -> Vectors:
    """Unit embeddings (n, dimensions) of uint8 pictures (n, h, w, 3), which `model` sees in [-1, 1]."""
    rows = []
    for start in range(0, len(pixels), batch_size):
        batch = pixels[start : start + batch_size].astype(np.float32) / 127.5 - 1
        rows.append(np.asarray(model(batch, training=False)))
    vectors = np.concatenate(rows)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return unit
