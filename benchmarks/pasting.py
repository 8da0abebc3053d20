"""Photos with products in them: catalogue pictures cut out of their white ground and pasted into other photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Box = tuple[float, float, float, float]  # x, y, width and height in fractions of the photo

WHITE = 240  # of 255 in the darkest channel: the catalogue's ground, with what JPEG leaves on it
SMALLEST = 40  # pixels of a side: cut-outs below are of white things, of which the ground is not to be told
TRIES = 200


def cut_out(picture: Image.Image) -> Image.Image | None:
    """The product of a catalogue picture (RGB), cropped to itself, the ground around it transparent; None where nothing
    is left."""
    ground = np.where(np.asarray(picture).min(axis=2) >= WHITE, 255, 0).astype(np.uint8)
    flooded = Image.fromarray(np.pad(ground, 1, constant_values=255)).copy()
    ImageDraw.floodfill(flooded, (0, 0), 128)
    mask = Image.fromarray(((np.asarray(flooded)[1:-1, 1:-1] != 128) * 255).astype(np.uint8))
    box = mask.getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < SMALLEST:
        return None
    product = picture.copy()
    product.putalpha(mask.filter(ImageFilter.MinFilter(3)))
    return product.crop(box)


def enlarged(photo: Image.Image, shorter: int) -> Image.Image:
    scale = shorter / min(photo.size)
    return photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BILINEAR)


def pasted(
    generator: np.random.Generator, goods: Sequence[Image.Image], photo: Image.Image, part: float
) -> tuple[Image.Image, list[Box]]:
    """The photo with the cut-outs at random places that do not overlap, each with its longer side ``part`` of the
    photo's shorter one, and their boxes. Those that find no room are left out."""
    photo, taken = photo.copy(), []
    for one in goods:
        scale = min(photo.size) * part / max(one.size)
        width, height = (max(1, round(length * scale)) for length in one.size)
        for _ in range(TRIES):
            x = int(generator.integers(0, photo.width - width + 1))
            y = int(generator.integers(0, photo.height - height + 1))
            if all(x + width <= a or a + c <= x or y + height <= b or b + d <= y for a, b, c, d in taken):
                small = one.resize((width, height), Image.Resampling.BILINEAR)
                photo.paste(small, (x, y), small)
                taken.append((x, y, width, height))
                break
    across, down = photo.size
    return photo, [(x / across, y / down, width / across, height / down) for x, y, width, height in taken]
