"""What a product stands on, and the shadow that it throws."""

from __future__ import annotations

import math
import random
from functools import lru_cache
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from catalog.drawing.canvas import Canvas
from catalog.drawing.colour import CREAM, INK, OAK, Colour, darker, lighter, mix

GROUNDS: dict[str, Colour] = {
    "studio": (246, 245, 243),
    "blush": (243, 226, 219),
    "mist": (221, 230, 234),
    "sage": (222, 229, 214),
    "sand": (236, 226, 208),
    "wood": OAK,
}
COARSE = 4  # shadows and light are drawn this many times smaller, then enlarged: they have no detail


@lru_cache(maxsize=32)
def ground(name: str, size: int, horizon: float | None) -> Image.Image:
    """An RGB picture of the empty set. ``horizon``: where table and wall meet, in units from the top."""
    colour = GROUNDS[name]
    if name == "wood":
        return _wood(size, horizon)
    floor = lighter(colour, 0.35)
    wall = colour
    column = Image.new("RGB", (1, size))
    line = (horizon or 0) / 100 * size
    for y in range(size):
        if horizon is None:
            shade = mix(lighter(colour, 0.25), colour, y / size)
        else:  # a paper sweep: no edge, only a change of light
            share = 1 / (1 + math.exp(-(y - line) / (size * 0.045)))
            shade = mix(mix(lighter(wall, 0.2), wall, min(y / max(line, 1), 1)), floor, share)
        column.putpixel((0, y), shade)
    return _vignette(column.resize((size, size)))


def _vignette(picture: Image.Image) -> Image.Image:
    size = picture.width
    light = Image.radial_gradient("L").resize((size, size), Image.Resampling.BICUBIC)
    dark = light.point([round(max(0, i - 90) * 0.11) for i in range(256)])
    picture.paste(INK, (0, 0), dark)
    return picture


def _wood(size: int, horizon: float | None) -> Image.Image:
    """Boards that run across, with grain, and above the horizon a light wall."""
    chance = random.Random(3)  # noqa: S311 - a drawing, not a secret
    picture = Image.new("RGB", (size, size), OAK)
    pen = ImageDraw.Draw(picture)
    top = 0.0 if horizon is None else horizon / 100 * size
    edges = [top]
    height = size * (0.17 if horizon is None else 0.07)
    while edges[-1] < size:
        edges.append(edges[-1] + height)
        height *= 1.0 if horizon is None else 1.45
    for y0, y1 in pairwise(edges):
        _board(pen, size, y0, y1, lighter(OAK, chance.uniform(0.12, 0.3)), chance)
    picture = picture.filter(ImageFilter.GaussianBlur(0.7))
    if horizon is not None:
        wall = Image.new("RGB", (size, round(top)), lighter(CREAM, 0.3))
        picture.paste(wall, (0, 0))
        edge = Image.new("L", (size, size))
        ImageDraw.Draw(edge).rectangle((0, top - 2, size, top + 3), fill=90)
        picture.paste(darker(OAK, 0.4), (0, 0), edge.filter(ImageFilter.GaussianBlur(3)))
    return _vignette(picture)


def _board(pen: ImageDraw.ImageDraw, size: int, y0: float, y1: float, colour: Colour, chance: random.Random) -> None:
    pen.rectangle((0, y0, size, y1), fill=colour)
    for _ in range(round((y1 - y0) / 2.2)):
        y, swing, phase = chance.uniform(y0, y1), chance.uniform(0.5, 3), chance.uniform(0, 6.28)
        tone = darker(colour, chance.uniform(0.02, 0.11)) if chance.random() < 0.7 else lighter(colour, 0.12)
        line = [(x, y + swing * math.sin(phase + x / size * 4)) for x in range(-8, size + 17, 16)]
        pen.line(line, fill=tone, width=chance.choice((1, 1, 2)))
    pen.line((0, y1, size, y1), fill=darker(colour, 0.32), width=2)


def compose(canvas: Canvas, picture: Image.Image, base: float | None) -> Image.Image:
    """Lays the canvas over ``picture``. ``base``: the y (units) at which the object stands; None: it lies flat."""
    picture = picture.copy()
    small = canvas.cover.reduce(COARSE)
    if base is None:
        shadow = _flat_shadow(small)
    else:
        ((_, y),) = canvas.pixels([(50, base)])
        shadow = _standing_shadow(small, y / canvas.size * small.height)
    shadow = shadow.resize(picture.size, Image.Resampling.BILINEAR)
    picture.paste(INK, (0, 0), shadow)
    rest = Image.composite(Image.new("RGB", picture.size), picture, canvas.cover)
    return ImageChops.add(canvas.colour, rest)


def _flat_shadow(cover: Image.Image) -> Image.Image:
    """Of something that lies on the ground, lit from the upper left."""
    unit = cover.width / 100
    near = _moved(cover, 0.5 * unit, 0.7 * unit).filter(ImageFilter.GaussianBlur(0.7 * unit))
    far = _moved(cover, 1.6 * unit, 2.6 * unit).filter(ImageFilter.GaussianBlur(2.6 * unit))
    return ImageChops.screen(near.point(_share(0.3)), far.point(_share(0.26)))


def _moved(cover: Image.Image, dx: float, dy: float) -> Image.Image:
    return cover.transform(cover.size, Image.Transform.AFFINE, (1, 0, -dx, 0, 1, -dy), Image.Resampling.BILINEAR)


def _standing_shadow(cover: Image.Image, base: float) -> Image.Image:
    """A dark line where the object touches the ground, and a soft shadow to the right and back."""
    unit = cover.width / 100
    low = Image.new("L", cover.size)
    low.paste(cover.crop((0, round(base - 9 * unit), cover.width, cover.height)), (0, round(base - 9 * unit)))
    contact = _fallen(low, base + 0.8 * unit, 0.13, 0.05).filter(ImageFilter.GaussianBlur(0.7 * unit))
    pool = _fallen(cover, base + 1.5 * unit, 0.09, 0.1).filter(ImageFilter.GaussianBlur(2.2 * unit))
    cast = _fallen(cover, base, 0.2, 0.42).filter(ImageFilter.GaussianBlur(2.8 * unit))
    soft = ImageChops.screen(pool.point(_share(0.26)), cast.point(_share(0.17)))
    return ImageChops.screen(contact.point(_share(0.5)), soft)


def _fallen(cover: Image.Image, base: float, rise: float, lean: float) -> Image.Image:
    """The silhouette laid on the floor: a point at height h lands ``lean * h`` right and ``rise * h`` up."""
    a = lean / rise
    return cover.transform(cover.size, Image.Transform.AFFINE, (1, a, -a * base, 0, 1 / rise, base - base / rise))


def _share(alpha: float) -> list[int]:
    return [round(i * alpha) for i in range(256)]
