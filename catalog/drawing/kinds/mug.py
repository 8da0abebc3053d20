"""Mugs: a turned body with a handle."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Ramp
from catalog.drawing.colour import darker, lighter
from catalog.drawing.geometry import Point, Stroke, spline
from catalog.drawing.lathe import body, gloss, profile, ring, surface
from catalog.drawing.look import Kind, Look

# Radius and height of the wall from rim to foot.
SHAPES: dict[str, list[Point]] = {
    "classic": [(22, 36), (22, 50), (22, 66), (21.4, 76), (19, 81)],
    "tall": [(17.5, 27), (18, 45), (18.4, 62), (18.4, 74), (16.6, 81)],
    "round": [(18.5, 38), (22, 47), (24.5, 58), (23.4, 70), (15.5, 80.5)],
    "tapered": [(23.5, 36), (22, 50), (20, 64), (17.6, 76), (15.8, 81)],
}


def draw(canvas: Canvas, look: Look) -> None:
    wall = profile(SHAPES[look.variant])
    top, foot = wall[0], wall[-1]
    cx = 46
    _handle(canvas, look, cx + wall[4][0], top[1], foot[1])
    mask = body(canvas, wall, cx)
    canvas.fill(mask, look.colour)
    patch = surface(canvas, wall, top[1], foot[1] + 0.5, cx)
    patterns.paint(canvas, mask, patch, look.pattern, look.accents)
    gloss(canvas, mask, patch, 0.75)
    canvas.shade(
        ring(canvas, foot[1] + 1.6, foot[0], cx),
        0.25,
        1.2,
        mask - canvas.mask(ring(canvas, foot[1] - 2, foot[0] + 3, cx)),
    )
    _mouth(canvas, look, cx, top)


def _mouth(canvas: Canvas, look: Look, cx: float, top: Point) -> None:
    r, y = top
    inside = lighter(look.colour, 0.75) if look.pattern != "two-tone" else look.accents[0]
    canvas.fill(ring(canvas, y, r, cx), lighter(look.colour, 0.35))
    hole = canvas.mask(ring(canvas, y + 0.2, r - 1.3, cx))
    canvas.fill(
        hole,
        Ramp((cx - r, y), (cx + r, y), [(0, darker(inside, 0.42)), (0.5, darker(inside, 0.2)), (1, inside)]),
    )
    depth = canvas.mask(ring(canvas, y + 4.5 * canvas.tilt / 0.2, r - 1.8, cx))
    drink = canvas.mask(ring(canvas, y + 7 * canvas.tilt / 0.2, r - 2, cx)) & hole
    canvas.shade(hole - depth, 0.16, 0.8, hole)
    if canvas.tilt > 0.24:
        canvas.tint(drink, (92, 58, 36), 1)
        canvas.light(drink - drink.shifted(2, 3), 0.25, 0.3, drink)


def _handle(canvas: Canvas, look: Look, x: float, top: float, foot: float) -> None:
    height = foot - top
    y0, y1 = top + height * 0.2, top + height * 0.76
    x -= 2
    bow = spline(
        [
            (x, y0),
            (x + 9, y0 - 0.6),
            (x + 14.5, y0 + 6),
            (x + 13.5, y1 - 9),
            (x + 7, y1 - 1),
            (x - 1, y1 + 0.5),
        ],
        closed=False,
    )
    colour = look.accents[0] if look.pattern == "two-tone" else look.colour
    mask = canvas.fill(Stroke(bow, 4.6), darker(colour, 0.06))
    canvas.volume(mask, 1.6, 0.5, 0.35)
    canvas.light(Stroke([(px - 0.6, py - 0.8) for px, py in bow[8:34]], 0.8), 0.55, 0.35, mask)
    canvas.shade(Stroke([(x, y0), (x, y1)], 3), 0.3, 1.2, mask)


KIND = Kind(
    "mug",
    tuple(SHAPES),
    ("plain", "striped", "dotted", "floral", "two-tone", "checked", "leaf", "terrazzo"),
    draw,
    near=1.2,
)
