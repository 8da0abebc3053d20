"""A transparent sheet on which an object is drawn: anti-aliased shapes, gradients, shading.

Shapes are drawn at four times the size and reduced to a mask; everything after that works on masks in the final
size, and only inside the shape's bounding box. The sheet holds premultiplied colour and coverage, so that it
can be laid over any ground without a fringe (Porter and Duff, "Compositing digital images", 1984).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from catalog.drawing.colour import INK, WHITE, Colour
from catalog.drawing.geometry import Path, Point, Stroke, Surface

SUPERSAMPLING = 4
_BRIGHT = [max(0, i - 128) * 2 for i in range(256)]
_DARK = [min(255, max(0, 128 - i) * 2) for i in range(256)]
Box = tuple[int, int, int, int]
Shape = Sequence[Point] | Stroke
Stops = Sequence[tuple[float, Colour]]


@dataclass(frozen=True)
class Mask:
    """Coverage of a shape: an L image and where its upper left corner lies on the sheet, in pixels."""

    image: Image.Image
    x: int
    y: int

    @property
    def box(self) -> Box:
        return self.x, self.y, self.x + self.image.width, self.y + self.image.height

    def crop(self, box: Box) -> Image.Image:
        """The mask inside ``box``; empty outside of its own box."""
        return self.image.crop((box[0] - self.x, box[1] - self.y, box[2] - self.x, box[3] - self.y))

    def __and__(self, other: Mask) -> Mask:
        a, b = self.box, other.box
        box = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
        box = (box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1))
        return Mask(ImageChops.multiply(self.crop(box), other.crop(box)), box[0], box[1])

    def __or__(self, other: Mask) -> Mask:
        a, b = self.box, other.box
        box = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
        return Mask(ImageChops.lighter(self.crop(box), other.crop(box)), box[0], box[1])

    def __sub__(self, other: Mask) -> Mask:
        return Mask(ImageChops.multiply(self.image, ImageChops.invert(other.crop(self.box))), self.x, self.y)

    def blurred(self, radius: float) -> Mask:
        """``radius`` in pixels; a wide blur is made at half the size, which nobody can tell."""
        pad = math.ceil(radius * 2.5) + 1
        x0, y0, x1, y1 = self.box
        box = (x0 - pad, y0 - pad, x1 + pad + (x1 - x0) % 2, y1 + pad + (y1 - y0) % 2)
        image = self.crop(box)
        if radius < 3:
            return Mask(image.filter(ImageFilter.GaussianBlur(radius)), box[0], box[1])
        soft = image.reduce(2).filter(ImageFilter.GaussianBlur(radius / 2))
        return Mask(soft.resize(image.size, Image.Resampling.BILINEAR), box[0], box[1])

    def faded(self, alpha: float) -> Mask:
        return Mask(self.image.point([round(i * alpha) for i in range(256)]), self.x, self.y)

    def shifted(self, dx: int, dy: int) -> Mask:
        return Mask(self.image, self.x + dx, self.y + dy)


@dataclass(frozen=True)
class Ramp:
    """A linear gradient from ``start`` to ``end`` (drawing units) through ``stops`` of (0..1, colour)."""

    start: Point
    end: Point
    stops: Stops


Paint = Colour | Ramp


class Canvas:
    """``size`` pixels square. ``place`` maps drawing units to drawing units and is affine: the view."""

    def __init__(self, size: int, place: Callable[[Point], Point] = lambda point: point, tilt: float = 0.2):
        self.size = size
        self.unit = size / 100
        self._origin, self._right, self._down = (place(point) for point in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
        self.tilt = tilt  # sine of the angle from which we look down: a circle's height over its width
        self.colour = Image.new("RGB", (size, size))
        self.cover = Image.new("L", (size, size))

    def pixels(self, path: Sequence[Point]) -> Path:
        (ox, oy), (rx, ry), (dx, dy), unit = self._origin, self._right, self._down, self.unit
        a, b, c, d = (rx - ox) * unit, (dx - ox) * unit, (ry - oy) * unit, (dy - oy) * unit
        ox, oy = ox * unit, oy * unit
        return [(a * x + b * y + ox, c * x + d * y + oy) for x, y in path]

    def mask(self, *shapes: Shape, cut: Sequence[Shape] = ()) -> Mask:
        """The union of ``shapes`` without those in ``cut``."""
        drawn = [(self._pixels_of(s), self._width(s)) for s in shapes]
        xs = [p[0] + side * w for path, w in drawn for p in path for side in (-1, 1)]
        ys = [p[1] + side * w for path, w in drawn for p in path for side in (-1, 1)]
        x0, y0 = max(math.floor(min(xs)) - 1, -self.size), max(math.floor(min(ys)) - 1, -self.size)
        x1, y1 = min(math.ceil(max(xs)) + 1, self.size * 2), min(math.ceil(max(ys)) + 1, self.size * 2)
        k = SUPERSAMPLING
        sheet = Image.new("L", (max(x1 - x0, 1) * k, max(y1 - y0, 1) * k))
        pen = ImageDraw.Draw(sheet)
        for path, width in drawn:
            _draw(pen, [((x - x0) * k, (y - y0) * k) for x, y in path], width * k, 255)
        for shape in cut:
            path = [((x - x0) * k, (y - y0) * k) for x, y in self._pixels_of(shape)]
            _draw(pen, path, self._width(shape) * k, 0)
        return Mask(sheet.reduce(k), x0, y0)

    def _pixels_of(self, shape: Shape) -> Path:
        return self.pixels(shape.path if isinstance(shape, Stroke) else shape)

    def _width(self, shape: Shape) -> float:
        return shape.width * self.unit if isinstance(shape, Stroke) else 0.0

    def fill(self, shape: Mask | Shape, paint: Paint, alpha: float = 1.0) -> Mask:
        """Paints over the sheet, and adds to what it covers; returns the mask."""
        mask = shape if isinstance(shape, Mask) else self.mask(shape)
        weight = mask if alpha >= 1 else mask.faded(alpha)
        if isinstance(paint, Ramp):
            self.colour.paste(self._ramp(paint, mask.box), mask.box[:2], weight.image)
        else:
            self.colour.paste(paint, mask.box, weight.image)
        self.cover.paste(255, mask.box, weight.image)
        return mask

    def tint(
        self, shape: Mask | Shape, colour: Colour, alpha: float, blur: float = 0, clip: Mask | None = None
    ) -> None:
        """Shading: colours what is there already. ``blur`` in drawing units; without ``clip`` inside what is drawn."""
        mask = shape if isinstance(shape, Mask) else self.mask(shape)
        if blur:
            mask = mask.blurred(blur * self.unit)
        mask = mask & (clip or Mask(self.cover, 0, 0))
        self.colour.paste(colour, mask.box, mask.faded(alpha).image)

    def light(self, shape: Mask | Shape, alpha: float, blur: float = 0, clip: Mask | None = None) -> None:
        self.tint(shape, WHITE, alpha, blur, clip)

    def shade(self, shape: Mask | Shape, alpha: float, blur: float = 0, clip: Mask | None = None) -> None:
        self.tint(shape, INK, alpha, blur, clip)

    def volume(self, mask: Mask, depth: float, dark: float = 0.35, bright: float = 0.25) -> None:
        """Rounds a shape's edges: light from the upper left, shadow at the lower right; ``depth`` in units."""
        step = max(round(depth * self.unit * 0.5), 1)
        soft = mask.blurred(depth * self.unit)
        for (dx, dy), colour, alpha in (((step, step), WHITE, bright), ((-step, -step), INK, dark)):
            edge = ImageChops.invert(soft.shifted(dx, dy).crop(mask.box))
            weight = ImageChops.multiply(edge, mask.image).point([round(i * alpha) for i in range(256)])
            self.colour.paste(colour, mask.box, weight)

    def relief(self, mask: Mask, surface: Surface, height: Callable[[float, float], float], across: int = 24,
               down: int = 1, blur: float = 0.8) -> None:  # fmt: skip
        """Shades a surface by ``height(u, v)``, from -1 (dark) to 1 (bright), in ``across`` by ``down`` facets.

        They are drawn at half the size: they are blurred anyway.
        """
        x0, y0, x1, y1 = mask.box
        left, top = x0 // 2 - 2, y0 // 2 - 2
        sheet = Image.new("L", (x1 // 2 + 4 - left, y1 // 2 + 4 - top), 128)
        pen = ImageDraw.Draw(sheet)
        for i in range(across):
            for j in range(down):
                value = max(-1.0, min(1.0, height((i + 0.5) / across, (j + 0.5) / down)))
                facet = surface.strip(i / across, j / down, (i + 1) / across, (j + 1) / down, 2 if down > 4 else 12)
                points = [(x / 2 - left, y / 2 - top) for x, y in self.pixels(facet)]
                pen.polygon(points, fill=128 + round(value * 127))
        sheet = sheet.filter(ImageFilter.GaussianBlur(blur * self.unit / 2))
        box = (x0 / 2 - left, y0 / 2 - top, x1 / 2 - left, y1 / 2 - top)
        sheet = sheet.resize(mask.image.size, Image.Resampling.BILINEAR, box=box)
        for colour, levels in ((WHITE, _BRIGHT), (INK, _DARK)):
            self.colour.paste(colour, mask.box, ImageChops.multiply(sheet.point(levels), mask.image))

    def _ramp(self, ramp: Ramp, box: Box) -> Image.Image:
        (x0, y0), (x1, y1) = self.pixels((ramp.start, ramp.end))
        dx, dy = x1 - x0, y1 - y0
        length = max(math.hypot(dx, dy), 1.0)
        samples = round(2 * length)  # between start and end
        a, b = dx / length**2 * samples, dy / length**2 * samples
        c = a * (box[0] - x0) + b * (box[1] - y0)
        size = (box[2] - box[0], box[3] - box[1])
        corners = (c, c + a * size[0], c + b * size[1], c + a * size[0] + b * size[1])
        low = math.floor(min(corners)) - 1
        strip = Image.new("RGB", (math.ceil(max(corners)) + 2 - low, 1))
        strip.putdata([_stop_colour(ramp.stops, (i + low) / samples) for i in range(strip.width)])
        return strip.transform(size, Image.Transform.AFFINE, (a, b, c - low, 0, 0, 0.5))


def _stop_colour(stops: Stops, t: float) -> Colour:
    if t <= stops[0][0]:
        return stops[0][1]
    for (t0, one), (t1, two) in pairwise(stops):
        if t <= t1:
            share = (t - t0) / (t1 - t0)
            red, green, blue = (round(p + (q - p) * share) for p, q in zip(one, two, strict=True))
            return red, green, blue
    return stops[-1][1]


def _draw(pen: ImageDraw.ImageDraw, path: Path, width: float, value: int) -> None:
    if not width:
        pen.polygon(path, fill=value)
        return
    pen.line(path, fill=value, width=max(round(width), 1), joint="curve")
    for x, y in (path[0], path[-1]):
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=value)
