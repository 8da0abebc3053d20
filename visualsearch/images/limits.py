"""Sizes that are checked before anything is decoded."""

from __future__ import annotations

from visualsearch.conf import conf
from visualsearch.exceptions import ImageTooSmall, TooManyPixels


def _megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:.1f}".removesuffix(".0")


def check_size(size: tuple[int, int], *, limit: int | None = None, what: str = "images") -> None:
    """Raises ImageTooSmall for a side under ``MIN_SIDE``, TooManyPixels for more than ``limit`` pixels.

    ``limit`` is ``MAX_PIXELS`` by default; ``what`` names in the message what the limit applies to.
    """
    width, height = size
    if min(size) < conf.MIN_SIDE:
        raise ImageTooSmall(f"The image is {width} x {height} pixels; each side must have at least {conf.MIN_SIDE}.")
    limit = conf.MAX_PIXELS if limit is None else limit
    if width * height > limit:
        raise TooManyPixels(
            f"The image is {width} x {height} pixels, {_megapixels(width * height)} megapixels; "
            f"{what} may have at most {_megapixels(limit)} megapixels."
        )
