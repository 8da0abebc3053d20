"""Any mode of Pillow to RGB: alpha over white, 16 bits and more scaled to 8, large pictures reduced."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

_BAND_PIXELS = 1 << 20  # a band of a large picture that is converted at once
_WITH_ALPHA = ("RGBA", "RGBa", "LA", "PA")

# The lowest and highest value of a picture's levels: black and white.
Levels = tuple[float, float]


def _has_wide_levels(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _eight_bits(image: Image.Image, levels: Levels) -> Image.Image:
    """Grey levels of 16 or 32 bits as 8; a PNG's transparent level becomes white."""
    low, high = levels
    with np.errstate(invalid="ignore"):  # a signalling NaN; errstate holds for this thread alone
        values = np.asarray(image).astype(np.float64)
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    key = image.info.get("transparency")
    paper = values == key if isinstance(key, int) else None
    values -= low
    values *= 255 / ((high - low) or 1.0)
    np.clip(values, 0, 255, out=values)
    if paper is not None:
        values[paper] = 255
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8)).convert("RGB")


def _with_alpha(image: Image.Image) -> Image.Image:
    """RGBA of a picture in which a colour, a grey level or some of the palette stands for transparency."""
    key = image.info["transparency"]
    if isinstance(key, tuple) and max(key) > 255:  # a key of 16 bits, but Pillow's RGB has 8
        image.info["transparency"] = tuple(level >> 8 for level in key)
    return image.convert("RGBA")


def _unfolded(image: Image.Image, levels: Levels | None = None) -> Image.Image:
    """The picture in RGB, or in RGBA where it has transparency; the very same object if it is that already."""
    if _has_wide_levels(image):
        return _eight_bits(image, levels or grey_levels(image))
    if "transparency" in image.info:
        return _with_alpha(image)
    if image.mode == "La":
        image = image.convert("LA")  # Pillow has no shorter way from premultiplied grey
    mode = "RGBA" if image.mode in _WITH_ALPHA else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _over_white(image: Image.Image) -> Image.Image:
    """The RGBA or RGB picture in RGB, as it looks on white paper."""
    if image.mode == "RGB":
        return image
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image)
    return paper


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture, of any mode, in mode RGB; the very same object where it is that already."""
    return _over_white(_unfolded(image))


def _bands(image: Image.Image, multiple: int) -> list[tuple[int, int, int, int]]:
    """Boxes that cover the picture from top to bottom, all but the last a multiple of so many rows high."""
    rows = max(1, _BAND_PIXELS // image.width // multiple) * multiple
    return [(0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)]


def _finite_range(values: npt.NDArray[np.generic]) -> Levels | None:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def grey_levels(image: Image.Image) -> Levels:
    """The values that are black and white in a picture of modes I;16, I and F.

    16 bits: 0 and 65535. 32 bits and floating point have no level defined as white: 0 and 1 (floating point
    only), 0 and 255, or 0 and 65535, the first that holds all values, else their own lowest and highest.
    """
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    found = [_finite_range(np.asarray(image.crop(box))) for box in _bands(image, 1)]
    ranges = [band for band in found if band]
    low, high = min((band[0] for band in ranges), default=0.0), max((band[1] for band in ranges), default=0.0)
    if low >= 0:
        for white in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
            if high <= white:
                return 0.0, white
    return low, high


def reduced_rgb(image: Image.Image, factor: int) -> Image.Image:
    """The picture in RGB, each ``factor`` x ``factor`` pixels averaged into one (rounded up at the edges).

    Converted band by band, so that besides the decoded picture and the result little memory is taken.
    """
    if factor < 2:
        return to_rgb(image)
    levels = grey_levels(image) if _has_wide_levels(image) else None
    result = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for box in _bands(image, factor):
        band = _unfolded(image.crop(box), levels).reduce(factor)
        result.paste(_over_white(band), (0, box[1] // factor))
    return result
