"""Pictures to encode: drawn ones that are the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image


def drawn(count: int, size: tuple[int, int] = (300, 400)) -> list[Image.Image]:
    """Different pictures of coloured blotches."""
    return list(_drawn(count, size))


def _drawn(count: int, size: tuple[int, int]) -> Iterator[Image.Image]:
    for number in range(count):
        blotches = np.random.default_rng(1000 + number).integers(0, 256, (number % 9 + 2, 5, 3), dtype=np.uint8)
        yield Image.fromarray(blotches).resize(size, Image.Resampling.BICUBIC)
