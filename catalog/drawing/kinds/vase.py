"""Vases, some with a few stems in them."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Ramp
from catalog.drawing.colour import Colour, darker, lighter
from catalog.drawing.geometry import Point, Stroke, bezier, ellipse, turned
from catalog.drawing.lathe import body, gloss, profile, ring, surface
from catalog.drawing.look import Kind, Look

SHAPES: dict[str, list[Point]] = {
    "bottle": [(5.4, 26), (4.8, 32), (5.2, 40), (11, 49), (16.6, 60), (16.4, 71), (10.5, 81)],
    "amphora": [(10.5, 24), (7.6, 29), (9, 35), (17.5, 44), (18.6, 55), (13.6, 69), (8.6, 81)],
    "globe": [(8.4, 30), (7.4, 34), (11, 38.5), (22, 48.5), (25.4, 60), (21, 73), (12, 81)],
    "cylinder": [(11.4, 28), (11.6, 42), (12.4, 56), (13.2, 70), (12.6, 81)],
    "flared": [(15.8, 28), (11.6, 38), (9, 50), (9.2, 62), (12.6, 73), (12, 81)],
}
STEM: Colour = (104, 118, 78)


def draw(canvas: Canvas, look: Look) -> None:
    wall = profile(SHAPES[look.variant])
    (r, top), (foot_r, foot) = wall[0], wall[-1]
    mouth = canvas.mask(ring(canvas, top, r))
    canvas.fill(
        mouth,
        Ramp((50 - r, top), (50 + r, top), [(0, darker(look.colour, 0.75)), (1, darker(look.colour, 0.45))]),
    )
    if look.variant in ("bottle", "flared", "cylinder"):
        _stems(canvas, look, top)
    mask = body(canvas, wall) - canvas.mask(ring(canvas, top, r - 0.9))
    canvas.fill(mask, look.colour)
    patch = surface(canvas, wall, top, foot + 0.5)
    patterns.paint(canvas, mask, patch, look.pattern, look.accents, 0.9)
    gloss(canvas, mask, patch, 0.55)
    lip = canvas.mask(ring(canvas, top, r), cut=[ring(canvas, top, r - 0.9)])
    canvas.fill(lip, lighter(look.colour, 0.3))
    canvas.shade(canvas.mask(ring(canvas, top + 1.6, r)) - mouth, 0.25, 0.6, mask)
    canvas.shade(ring(canvas, foot + 1.8, foot_r), 0.3, 1.5, mask - canvas.mask(ring(canvas, foot - 2, foot_r + 3)))


def _stems(canvas: Canvas, look: Look, top: float) -> None:
    """Eucalyptus: a few bowed stems with pairs of round leaves."""
    for reach, height, lean in ((-15, 17, -18), (2, 21, 4), (14, 15, 20)):
        stem = bezier(
            (50, top + 6),
            (50, top - 4),
            (50 + reach * 0.4, top - height * 0.6),
            (50 + reach, top - height),
            20,
        )
        canvas.fill(Stroke(stem, 0.55), STEM)
        for i in range(7, 21, 3):
            x, y = stem[i]
            size = 2.9 - i * 0.07
            for side in (-1, 1):
                leaf = turned(
                    ellipse(x + side * size * 0.95, y - 0.5, size, size * 0.62, steps=24),
                    lean + side * -28,
                    x,
                    y,
                )
                tone = (132, 150, 118) if side < 0 else (110, 132, 102)
                blade = canvas.fill(leaf, tone)
                canvas.volume(blade, 0.6, 0.3, 0.3)


KIND = Kind(
    "vase",
    tuple(SHAPES),
    ("plain", "striped", "two-tone", "dotted", "leaf", "chevron", "terrazzo"),
    draw,
)
