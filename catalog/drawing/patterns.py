"""Patterns on a surface: drawn in its own (u, v), so that they follow the form."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from catalog.drawing.canvas import Canvas, Mask, Shape
from catalog.drawing.colour import Colour
from catalog.drawing.geometry import Point, Stroke, Surface

Draw = Callable[[Canvas, Mask, Surface, Colour, Colour, float], None]


def paint(
    canvas: Canvas,
    clip: Mask,
    surface: Surface,
    pattern: str,
    accents: tuple[Colour, Colour],
    scale: float = 1,
) -> None:
    """Draws ``pattern`` (a key of PATTERNS) inside ``clip``; ``scale`` over 1 makes it coarser."""
    PATTERNS[pattern](canvas, clip, surface, *accents, scale)


def _lay(canvas: Canvas, clip: Mask, colour: Colour, shapes: Sequence[Shape], alpha: float = 1) -> None:
    if shapes:
        canvas.tint(canvas.mask(*shapes) & clip, colour, alpha)


def _blob(surface: Surface, u: float, v: float, r: float, turn: float = 0, long: float = 1) -> list[Point]:
    """An ellipse about (u, v): ``r`` is a share of the surface's height."""
    points = []
    for i in range(20):
        a = 2 * math.pi * i / 20
        x, y = r * long * math.cos(a), r * math.sin(a)
        x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        points.append(surface.at(u + x / surface.aspect, v + y))
    return points


def _grid(surface: Surface, step: float, shift: bool = True) -> list[tuple[float, float, int, int]]:
    """Cells of a grid of about ``step`` (a share of the height), every other row shifted."""
    rows = max(round(1 / step), 1)
    columns = max(round(surface.aspect / step), 1)
    return [
        ((i + (0.5 if shift and j % 2 else 0)) / columns, (j + 0.5) / rows, i, j)
        for j in range(rows)
        for i in range(columns + 1)
    ]


def plain(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    """Nothing: the ground's own colour."""


def stripes(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    n = max(round(6 / scale), 2)
    _lay(canvas, clip, one, [surface.patch(-0.02, (i + 0.28) / n, 1.02, (i + 0.72) / n) for i in range(n)])


def breton(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    n = max(round(11 / scale), 3)
    _lay(canvas, clip, one, [surface.patch(-0.02, (i + 0.35) / n, 1.02, (i + 0.65) / n) for i in range(n)])


def pinstripes(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    n = max(round(11 * surface.aspect / scale), 4)
    _lay(canvas, clip, one, [surface.patch((i + 0.38) / n, -0.02, (i + 0.62) / n, 1.02) for i in range(n)])


def dots(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    cells = _grid(surface, 0.155 * scale)
    _lay(canvas, clip, one, [_blob(surface, u, v, 0.043 * scale) for u, v, _, _ in cells])


def checks(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    """Gingham: two sets of translucent bands."""
    rows = max(round(7 / scale), 2)
    columns = max(round(7 * surface.aspect / scale), 2)
    for alpha, shapes in (
        (0.5, [surface.patch(-0.02, (i + 0.25) / rows, 1.02, (i + 0.75) / rows) for i in range(rows)]),
        (
            0.5,
            [surface.patch((i + 0.25) / columns, -0.02, (i + 0.75) / columns, 1.02) for i in range(columns)],
        ),
    ):
        _lay(canvas, clip, one, list(shapes), alpha)


def tartan(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    rows = max(round(4 / scale), 2)
    columns = max(round(4 * surface.aspect / scale), 2)
    for start, width, colour, alpha in (
        (0.15, 0.34, one, 0.45),
        (0.7, 0.06, two, 0.9),
        (0.85, 0.05, one, 0.8),
    ):
        stop = start + width
        across = [surface.patch(-0.02, (i + start) / rows, 1.02, (i + stop) / rows) for i in range(rows)]
        down = [surface.patch((i + start) / columns, -0.02, (i + stop) / columns, 1.02) for i in range(columns)]
        _lay(canvas, clip, colour, list(across), alpha)
        _lay(canvas, clip, colour, list(down), alpha)


def two_tone(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    _lay(canvas, clip, one, [surface.patch(-0.1, 0.56, 1.1, 1.3)])


def chevron(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    rows = max(round(6 / scale), 2)
    teeth = max(round(6 * surface.aspect / scale), 3)
    shapes: list[Shape] = []
    for j in range(-1, rows + 1):
        edge = [(i / (2 * teeth), (j + (0.5 if i % 2 else 0)) / rows) for i in range(2 * teeth + 1)]
        lower = [(u, v + 0.45 / rows) for u, v in reversed(edge)]
        shapes.append(surface.path([*edge, *lower]))
    _lay(canvas, clip, one, shapes)


def argyle(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    step = 0.3 * scale
    w, h = step / surface.aspect / 2, step * 0.72
    cells = [(u, v, i, j) for u, v, i, j in _grid(surface, step)]
    diamonds = [surface.path([(u, v - h), (u + w, v), (u, v + h), (u - w, v)]) for u, v, _, _ in cells]
    _lay(canvas, clip, one, diamonds[::2])
    _lay(canvas, clip, two, diamonds[1::2], 0.7)


def floral(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    petals: list[Shape] = []
    hearts: list[Shape] = []
    leaves: list[Shape] = []
    r = 0.042 * scale
    for u, v, i, j in _grid(surface, 0.25 * scale):
        turn = (i * 2.4 + j * 1.7) % 6.28
        for k in range(5):
            a = turn + k * 2 * math.pi / 5
            du, dv = 1.15 * r * math.cos(a) / surface.aspect, 1.15 * r * math.sin(a)
            petals.append(_blob(surface, u + du, v + dv, r * 0.72, a, 1.25))
        hearts.append(_blob(surface, u, v, r * 0.62))
        a = turn + 0.6
        du, dv = 3.0 * r * math.cos(a) / surface.aspect, 3.0 * r * math.sin(a)
        leaves.append(_blob(surface, u + du, v + dv, r * 0.38, a, 2.2))
    _lay(canvas, clip, two, leaves)
    _lay(canvas, clip, one, petals)
    _lay(canvas, clip, two, hearts)


def leaves(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    blades: list[Shape] = []
    stems: list[Shape] = []
    r = 0.034 * scale
    for u, v, i, j in _grid(surface, 0.3 * scale):
        lean = ((i + j) % 2 * 2 - 1) * 0.5
        stem = [
            (u + lean * 3.2 * r * (t - 0.5) / surface.aspect, v + 3.6 * r * (0.5 - t) * 2) for t in (0, 0.35, 0.7, 1)
        ]
        stems.append(Stroke(surface.path(stem), 0.35))
        for k, (x, y) in enumerate(stem[1:]):
            for side in (-1, 1):
                a = -math.pi / 2 + lean * 0.6 + side * 0.85
                du, dv = 1.7 * r * math.cos(a) / surface.aspect, 1.7 * r * math.sin(a)
                blades.append(_blob(surface, x + du, y + dv, r * (0.55 - 0.08 * k), a, 2.4))
    _lay(canvas, clip, one, [*stems, *blades])


def terrazzo(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    """Chips of two colours, scattered but always the same."""
    chance = random.Random(7)  # noqa: S311 - a drawing, not a secret
    chips: tuple[list[Shape], list[Shape]] = ([], [])
    for u, v, i, j in _grid(surface, 0.12 * scale):
        u, v = u + chance.uniform(-0.03, 0.03) / surface.aspect, v + chance.uniform(-0.03, 0.03)
        size, turn, corners = (
            chance.uniform(0.016, 0.042) * scale,
            chance.uniform(0, 6.28),
            chance.choice((4, 5)),
        )
        points = []
        for k in range(corners):
            a = turn + 2 * math.pi * k / corners
            points.append((u + size * math.cos(a) / surface.aspect, v + size * chance.uniform(0.5, 1) * math.sin(a)))
        chips[(i + j) % 2].append(surface.path(points))
    _lay(canvas, clip, one, chips[0])
    _lay(canvas, clip, two, chips[1])


def triangles(canvas: Canvas, clip: Mask, surface: Surface, one: Colour, two: Colour, scale: float) -> None:
    step = 0.2 * scale
    w, h = step / surface.aspect / 2 * 0.8, step * 0.34
    cells = _grid(surface, step)
    shapes = [surface.path([(u, v - h), (u + w, v + h), (u - w, v + h)]) for u, v, _, _ in cells]
    _lay(canvas, clip, one, shapes[::2])
    _lay(canvas, clip, two, shapes[1::2])


PATTERNS: dict[str, Draw] = {
    "plain": plain,
    "striped": stripes,
    "breton": breton,
    "pinstriped": pinstripes,
    "dotted": dots,
    "checked": checks,
    "tartan": tartan,
    "two-tone": two_tone,
    "chevron": chevron,
    "argyle": argyle,
    "floral": floral,
    "leaf": leaves,
    "terrazzo": terrazzo,
    "triangle": triangles,
}
