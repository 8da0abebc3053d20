"""The part of a picture to search with: x, y, width and height in fractions of the upright picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image

from visualsearch.conf import conf
from visualsearch.exceptions import InvalidBox

ROUNDING = 1e-6  # by which a box may reach beyond the picture: fractions as a browser rounds them
MAX_SIDE = 1792  # pixels that a picture is opened with for a small box: 8 times an encoder's 224


class Box(NamedTuple):
    """Fractions, from the upper left corner of the picture as it is looked at."""

    x: float
    y: float
    width: float
    height: float

    def side(self, side: int) -> int:
        """What a picture is to be opened with, so that the part in the box has ``side`` pixels where the file does."""
        return min(MAX_SIDE, math.ceil(side / min(self.width, self.height)))

    def within(self, part: Sequence[float]) -> Box:
        """A part of this part, given in fractions of it, in fractions of the picture."""
        x, y, width, height = part
        return Box(self.x + x * self.width, self.y + y * self.height, width * self.width, height * self.height)

    def crop(self, picture: Image.Image) -> Image.Image:
        """The part of the picture. Raises InvalidBox where it has fewer pixels than a picture must."""
        width, height = picture.size
        left, upper = round(self.x * width), round(self.y * height)
        right, lower = round((self.x + self.width) * width), round((self.y + self.height) * height)
        if min(right - left, lower - upper) < conf.MIN_SIDE:
            raise InvalidBox(
                f"The box holds {right - left} x {lower - upper} pixels; each side must have at least {conf.MIN_SIDE}."
            )
        return picture.crop((left, upper, min(right, width), min(lower, height)))


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


def checked_box(given: Sequence[float] | str) -> Box:
    """A box of four numbers, or of the text "x,y,w,h". Raises InvalidBox, which says what is wrong."""
    numbers = _numbers(given.split(",") if isinstance(given, str) else given)
    if len(numbers) != 4:
        raise InvalidBox(f"A box has four numbers, x,y,w,h, not {len(numbers)}.")
    box = Box(*numbers)
    if not all(math.isfinite(number) for number in box):
        raise InvalidBox("The numbers of a box must be finite.")
    if box.width <= 0 or box.height <= 0:
        raise InvalidBox(f"The box has no area: it is {box.width:g} wide and {box.height:g} high.")
    beyond = box.x + box.width > 1 + ROUNDING or box.y + box.height > 1 + ROUNDING
    if box.x < 0 or box.y < 0 or beyond:
        raise InvalidBox("The box reaches beyond the picture; its numbers are fractions of width and height, 0 to 1.")
    return box


def _numbers(parts: Any) -> list[float]:
    try:
        return [float(part) for part in parts]
    except (TypeError, ValueError, OverflowError):
        raise InvalidBox("A box is four numbers, x,y,w,h, in fractions of the picture.") from None
