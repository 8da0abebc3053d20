"""Sizes that are checked before anything is decoded."""

from __future__ import annotations

from visualsearch.conf import conf
from visualsearch.exceptions import ImageTooSmall, TooManyPixels


def _megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:.1f}".removesuffix(".0")


def check_pixels(size: tuple[int, int], *, limit: int | None = None, what: str = "images") -> None:
    """Raises TooManyPixels for more than ``limit`` pixels, ``MAX_PIXELS`` of the settings by default.

    ``what`` names in the message what the limit applies to.
    """
    width, height = size
    limit = conf.MAX_PIXELS if limit is None else limit
    if width * height > limit:
        raise TooManyPixels(
            f"The image is {width} x {height} pixels, {_megapixels(width * height)} megapixels; "
            f"{what} may have at most {_megapixels(limit)} megapixels."
        )


def check_size(size: tuple[int, int], *, limit: int | None = None, what: str = "images") -> None:
    """``check_pixels``, and ImageTooSmall for a side under ``MIN_SIDE``."""
    if min(size) < conf.MIN_SIDE:
        raise ImageTooSmall(f"The image is {size[0]} x {size[1]} pixels; each side must have at least {conf.MIN_SIDE}.")
    check_pixels(size, limit=limit, what=what)
