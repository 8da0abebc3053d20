"""Folders of pictures -> random crops, the same ones for the same seed and step.

Needs numpy and Pillow only. Every batch is a function of (seed, step), so that a resumed run sees exactly
the crops that the killed one would have seen.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .exceptions import NoPictures

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
Pixels = NDArray[np.uint8]
Batch = NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """How a crop is drawn: share of the picture's area, width over height, brightness factor 1 +- b."""

    area: tuple[float, float] = (0.35, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    brightness: float = 0.2


@dataclass
class Pictures:
    """Decoded pictures in memory: uint8 RGB arrays (height, width, 3).

    `draws` holds one entry for each time that a picture is drawn in an epoch (a folder named twice counts
    twice); `unreadable` lists (path, reason) of the files that were left out.
    """

    arrays: list[Pixels]
    draws: NDArray[np.int64]
    unreadable: list[tuple[Path, str]] = field(default_factory=list)


def find_pictures(folder: Path) -> list[Path]:
    """Every picture file under `folder`, sorted. Raises NoPictures where there is none."""
    if not folder.is_dir():
        raise NoPictures(f"{folder} is not a folder.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise NoPictures(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))}).")
    return paths


def overlap(one: Path, other: Path) -> bool:
    """Whether one folder is the other, or lies inside it."""
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)


def read_picture(path: Path, short_side: int | None = None) -> Pixels:
    """The upright RGB picture at `path`, uint8 (height, width, 3), its short side at most `short_side` px.

    Raises OSError, ValueError or Image.DecompressionBombError where the file cannot be decoded.
    """
    with Image.open(path) as opened:
        if short_side is not None:
            # A JPEG decodes straight to half or a quarter of its size, which costs a fraction of the time.
            opened.draft("RGB", (2 * short_side, 2 * short_side))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    if short_side is not None and min(image.size) > short_side:
        scale = short_side / min(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image, dtype=np.uint8)


def attempt(path: Path, short_side: int | None = None) -> Pixels | str:
    """`read_picture`, or the reason why it cannot be read."""
    try:
        return read_picture(path, short_side)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        return f"{type(exc).__name__}: {exc}"


def load_pictures(folders: Sequence[Path], short_side: int = 256, threads: int = 2) -> Pictures:
    """Decode every picture of `folders` once. Raises NoPictures where nothing can be read."""
    draws = [path for folder in folders for path in find_pictures(Path(folder))]
    paths = sorted(set(draws))

    arrays: list[Pixels] = []
    position: dict[Path, int] = {}
    unreadable: list[tuple[Path, str]] = []
    with ThreadPoolExecutor(threads) as pool:
        for path, result in zip(paths, pool.map(partial(attempt, short_side=short_side), paths), strict=True):
            if isinstance(result, str):
                unreadable.append((path, result))
            else:
                position[path] = len(arrays)
                arrays.append(result)
    if not arrays:
        raise NoPictures(f"None of the {len(paths)} files in {', '.join(map(str, folders))} can be read.")
    kept = np.array([position[path] for path in draws if path in position], dtype=np.int64)
    return Pictures(arrays, kept, unreadable)


def random_box(
    rng: np.random.Generator, width: int, height: int, augmentation: Augmentation
) -> tuple[float, float, float, float]:
    """A random crop's (left, top, right, bottom) in pixels, inside the picture."""
    area = width * height * rng.uniform(*augmentation.area)
    ratio = math.exp(rng.uniform(*np.log(augmentation.aspect))) * width / height
    crop_width, crop_height = min(width, math.sqrt(area * ratio)), min(height, math.sqrt(area / ratio))
    left, top = rng.uniform(0, width - crop_width), rng.uniform(0, height - crop_height)
    return (left, top, left + crop_width, top + crop_height)


def random_crop(rng: np.random.Generator, pixels: Pixels, size: int, augmentation: Augmentation) -> Batch:
    """A random resized crop, mirrored half of the time, brightened or darkened: (size, size, 3) in [-1, 1]."""
    height, width = pixels.shape[:2]
    box = random_box(rng, width, height, augmentation)
    crop = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    factor = 1 + rng.uniform(-augmentation.brightness, augmentation.brightness)
    scaled: Batch = np.asarray(crop, dtype=np.float32) * np.float32(factor / 127.5) - 1
    return scaled.clip(max=1)


def shuffled(items: NDArray[np.int64], count: int, step: int, seed: tuple[int, ...]) -> list[int]:
    """The `count` items of `step`, where each epoch is its own shuffle of all of them."""
    places = np.arange(step * count, (step + 1) * count)
    epochs = places // len(items)
    chosen: list[int] = []
    for epoch in np.unique(epochs):
        order = np.random.default_rng((*seed, int(epoch))).permutation(items)
        chosen.extend(order[places[epochs == epoch] - epoch * len(items)].tolist())
    return chosen


@dataclass(frozen=True)
class Crops:
    """Random crops of `pictures`, a batch for each step: `crops.batch(step, size)`."""

    pictures: Pictures
    seed: int = 0
    batch_size: int = 64
    augmentation: Augmentation = field(default_factory=Augmentation)

    def drawn(self, step: int) -> list[int]:
        """Positions of the pictures drawn at `step`."""
        return shuffled(self.pictures.draws, self.batch_size, step, (self.seed, 0))

    def batch(self, step: int, size: int) -> Batch:
        """The crops of one step: float32 (batch, size, size, 3) in [-1, 1]."""
        rng = np.random.default_rng((self.seed, 1, step))
        arrays = self.pictures.arrays
        return np.stack([random_crop(rng, arrays[i], size, self.augmentation) for i in self.drawn(step)])


def prefetched(make: Callable[[int], Batch], first: int) -> Generator[Batch, None, None]:
    """make(first), make(first + 1), ... in order, made ahead by as many threads as there are cores."""
    threads = os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads, thread_name_prefix="crops")
    try:
        made = deque(pool.submit(make, step) for step in range(first, first + threads + 2))
        for step in count(first + len(made)):
            yield made.popleft().result()
            made.append(pool.submit(make, step))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
