"""Registers the other shops' sources for one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import visualsearch
from tests.goods.models import Garment, Poster, PosterScan
from visualsearch.sources import ImageSource, get_source, unregister


@contextmanager
def registered() -> Iterator[tuple[ImageSource, ImageSource]]:
    """The sources "garment" (UUID key, picture on the product) and "posters" (text keys, plain file field)."""
    visualsearch.register(Garment, image="photo", eligible=lambda: Garment.objects.filter(shown=True))
    visualsearch.register(PosterScan, image="scan", product="poster", name="posters", eligible=Poster.objects.all)
    try:
        yield get_source("garment"), get_source("posters")
    finally:
        unregister("garment")
        unregister("posters")
