"""How well weights retrieve: P@1 and mAP@10 on folders of class sub-folders, with bootstrap intervals.

A small measure to judge a run by; pictures are resized whole, as search does. Any embedding can be judged:
`retrieval` needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .data import Pixels, attempt, find_pictures
from .exceptions import NoPictures

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Figure:
    """A mean over queries, with its 95% bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(values: NDArray[np.float64], resamples: int = 1000, seed: int = 0) -> Figure:
    """Mean of `values` and the 2.5th and 97.5th percentile of its resampled means (Efron 1979)."""
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Figure(float(values.mean()), float(low), float(high))


@dataclass(frozen=True)
class Labelled:
    """Pictures with a class each: uint8 (n, size, size, 3); `unreadable` lists (path, reason) of those left out."""

    pixels: Pixels
    labels: list[str]
    unreadable: list[tuple[Path, str]]


def labelled(folder: Path, size: int = 224) -> Labelled:
    """A folder of class sub-folders, each picture resized whole to `size` px, bilinear.

    Raises NoPictures where there is no class sub-folder with a picture that can be read.
    """
    pixels, labels, unreadable = [], [], []
    for path in find_pictures(folder):
        if path.parent == folder:
            continue
        read = attempt(path)
        if isinstance(read, str):
            unreadable.append((path, read))
        else:
            pixels.append(np.asarray(Image.fromarray(read).resize((size, size), Image.Resampling.BILINEAR)))
            labels.append(path.relative_to(folder).parts[0])
    if not pixels:
        raise NoPictures(f"{folder} holds no class sub-folders with pictures that can be read.")
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


def retrieval(
    queries: Vectors, query_labels: Sequence[str], gallery: Vectors, labels: Sequence[str], k: int = 10
) -> dict[str, Figure]:
    """P@1, P@k, hit@k and mAP@k of unit `queries` against unit `gallery`; a hit has the query's label.

    `map_at_k` averages precision over the hits that were retrieved; `map_at_k_relevant` divides by
    min(k, number relevant) instead, so that missing hits count.
    """
    nearest = np.argsort(-(queries @ gallery.T), axis=1, kind="stable")[:, :k]
    known, wanted = np.asarray(labels), np.asarray(query_labels)
    hits = (known[nearest] == wanted[:, None]).astype(np.float64)
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    summed = (precision * hits).sum(1)
    relevant = (known[None] == wanted[:, None]).sum(1).clip(1, k)
    per_query = {
        "p_at_1": hits[:, 0],
        f"p_at_{k}": hits.mean(1),
        f"hit_at_{k}": hits.max(1),
        f"map_at_{k}": summed / hits.sum(1).clip(1),
        f"map_at_{k}_relevant": summed / relevant,
    }
    return {name: bootstrap(values) for name, values in per_query.items()}


def agreement(student: Vectors, teacher: Vectors) -> Figure:
    """Mean cosine between unit embeddings of the same pictures."""
    return bootstrap((student * teacher).sum(1).astype(np.float64))
