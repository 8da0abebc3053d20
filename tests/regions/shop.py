"""A shop of catalogue pictures that are indexed for real, and photos with some of its products in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.pasting import cut_out, pasted
from tests.shelf import category, index_everything, make_product
from visualsearch.encoders import get_encoder
from visualsearch.models import VisualIndex
from visualsearch.regions import centroids


def fill(data: Path, count: int = 40) -> VisualIndex:
    """An index of every 200th product of the catalogue, of the encoder in the settings."""
    centroids.forget()
    for number, path in enumerate(catalogue(data)[:count]):
        make_product(path.read_bytes(), title=path.stem, category=category(f"Kind {number % 3}"))
    index_everything()
    return VisualIndex.objects.get(fingerprint=get_encoder().fingerprint)


def catalogue(data: Path) -> list[Path]:
    return sorted((data / "catalogue").glob("*.jpg"))[::200]


def collage(data: Path, numbers: Sequence[int], photo: int = 7) -> tuple[Image.Image, list[tuple[float, ...]]]:
    """A photo with these products side by side, and their boxes."""
    ground = Image.open(sorted((data / "photos").glob("*.jpg"))[photo]).convert("RGB").resize((900, 640))
    goods = [cut_out(Image.open(catalogue(data)[number]).convert("RGB")) for number in numbers]
    assert None not in goods
    return pasted(np.random.default_rng(1), [one for one in goods if one], ground, 0.45)
