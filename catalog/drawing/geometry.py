"""Paths in the drawing's own units: the picture is 100 by 100, y grows downwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Path = list[Point]


@dataclass(frozen=True)
class Stroke:
    """A line of constant width along ``path``, with round ends."""

    path: Sequence[Point]
    width: float


@dataclass(frozen=True)
class Surface:
    """A patch of an object that carries a pattern: ``at`` maps (u, v) in the unit square to the picture.

    ``aspect`` is the patch's width over its height as it would lie flat, so that dots stay round.
    """

    at: Callable[[float, float], Point]
    aspect: float = 1.0

    def patch(self, u0: float, v0: float, u1: float, v1: float, steps: int = 16) -> Path:
        """The outline of a rectangle of the unit square."""
        along = [(u0 + (u1 - u0) * i / steps, v0) for i in range(steps + 1)]
        down = [(u1, v0 + (v1 - v0) * i / steps) for i in range(1, steps + 1)]
        back = [(u1 + (u0 - u1) * i / steps, v1) for i in range(1, steps + 1)]
        up = [(u0, v1 + (v0 - v1) * i / steps) for i in range(1, steps)]
        return [self.at(u, v) for u, v in (*along, *down, *back, *up)]

    def strip(self, u0: float, v0: float, u1: float, v1: float, steps: int) -> Path:
        """Like ``patch`` for a narrow rectangle: only its long sides are curved."""
        right = [self.at(u1, v0 + (v1 - v0) * i / steps) for i in range(steps + 1)]
        left = [self.at(u0, v1 + (v0 - v1) * i / steps) for i in range(steps + 1)]
        return [*right, *left]

    def path(self, points: Sequence[Point]) -> Path:
        return [self.at(u, v) for u, v in points]


def flat(x0: float, y0: float, x1: float, y1: float) -> Surface:
    """An upright rectangle that faces us."""
    return Surface(lambda u, v: (x0 + (x1 - x0) * u, y0 + (y1 - y0) * v), (x1 - x0) / (y1 - y0))


def quad(a: Point, b: Point, c: Point, d: Point, aspect: float = 1.0) -> Surface:
    """A bilinear patch; the corners go clockwise from the upper left."""

    def at(u: float, v: float) -> Point:
        x = (a[0] * (1 - u) + b[0] * u) * (1 - v) + (d[0] * (1 - u) + c[0] * u) * v
        y = (a[1] * (1 - u) + b[1] * u) * (1 - v) + (d[1] * (1 - u) + c[1] * u) * v
        return x, y

    return Surface(at, aspect)


def ellipse(cx: float, cy: float, rx: float, ry: float, start: float = 0, stop: float = 360, steps: int = 72) -> Path:
    """Points of an ellipse from ``start`` to ``stop`` degrees, clockwise from the right."""
    angles = (math.radians(start + (stop - start) * i / steps) for i in range(steps + 1))
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> Path:
    """A rectangle with round corners."""
    r = min(radius, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    corners = ((x1 - r, y0 + r, -90), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180))
    return [p for x, y, start in corners for p in ellipse(x, y, r, r, start, start + 90, 10)]


def bezier(a: Point, b: Point, c: Point, d: Point, steps: int = 24) -> Path:
    """A cubic Bezier curve."""
    path = []
    for i in range(steps + 1):
        t = i / steps
        w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        path.append((sum(k * p[0] for k, p in zip(w, (a, b, c, d), strict=True)),
                     sum(k * p[1] for k, p in zip(w, (a, b, c, d), strict=True))))  # fmt: skip
    return path


def spline(points: Sequence[Point], *, closed: bool = True, steps: int = 10) -> Path:
    """A smooth curve through ``points`` (Catmull-Rom)."""
    count = len(points)
    path: Path = []
    for i in range(count if closed else count - 1):
        a, b, c, d = (_neighbour(points, i + k, closed) for k in (-1, 0, 1, 2))
        path.extend(_catmull_rom(a, b, c, d, s / steps) for s in range(steps))
    if not closed:
        path.append(points[-1])
    return path


def _neighbour(points: Sequence[Point], i: int, closed: bool) -> Point:
    return points[i % len(points)] if closed else points[min(max(i, 0), len(points) - 1)]


def _catmull_rom(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    def one(p: float, q: float, r: float, s: float) -> float:
        return 0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t**3)

    return one(a[0], b[0], c[0], d[0]), one(a[1], b[1], c[1], d[1])


def mirrored(path: Sequence[Point], axis: float = 50) -> Path:
    """``path`` seen in a mirror that stands at x = ``axis``, in reverse order."""
    return [(2 * axis - x, y) for x, y in reversed(path)]


def symmetric(half: Sequence[Point], axis: float = 50) -> Path:
    """The closed outline whose right half is ``half``, from top to bottom."""
    return [*half, *mirrored(half, axis)]


def moved(path: Sequence[Point], dx: float = 0, dy: float = 0) -> Path:
    return [(x + dx, y + dy) for x, y in path]


def turned(path: Sequence[Point], degrees: float, cx: float, cy: float) -> Path:
    """``path`` turned clockwise about (cx, cy)."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(cx + (x - cx) * c - (y - cy) * s, cy + (x - cx) * s + (y - cy) * c) for x, y in path]


def scaled(path: Sequence[Point], sx: float, sy: float, cx: float, cy: float) -> Path:
    return [(cx + (x - cx) * sx, cy + (y - cy) * sy) for x, y in path]


def ribbon(path: Sequence[Point], widths: Sequence[float]) -> Path:
    """A closed band along ``path`` whose width runs evenly through ``widths``."""
    left, right = [], []
    last = len(path) - 1
    for i, (x, y) in enumerate(path):
        (x0, y0), (x1, y1) = path[max(i - 1, 0)], path[min(i + 1, last)]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        half = between(widths, i / last) / 2
        nx, ny = -(y1 - y0) / length * half, (x1 - x0) / length * half
        left.append((x + nx, y + ny))
        right.append((x - nx, y - ny))
    return [*left, *reversed(right)]


def between(values: Sequence[float], t: float) -> float:
    """The value at ``t`` (0 to 1) of a line through evenly spaced ``values``."""
    place = t * (len(values) - 1)
    i = min(int(place), len(values) - 2)
    return values[i] + (values[i + 1] - values[i]) * (place - i)
