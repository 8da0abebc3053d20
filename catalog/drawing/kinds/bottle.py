"""Drinking bottles: steel, lacquered, with a screw cap."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Ramp
from catalog.drawing.colour import OAK, STEEL, Colour, darker, lighter
from catalog.drawing.geometry import Point, Stroke, ellipse
from catalog.drawing.lathe import Profile, body, gloss, profile, ring, surface
from catalog.drawing.look import Kind, Look

SHAPES: dict[str, list[Point]] = {
    "slim": [(5.2, 25), (5.4, 28), (9.6, 34), (11.4, 40), (11.5, 56), (11.5, 72), (11, 81)],
    "wide": [(9.6, 27), (9.8, 29), (13.8, 33.5), (15, 39), (15, 56), (15, 73), (14.2, 81)],
    "flask": [(11, 30), (11.6, 34), (12.6, 48), (13.2, 62), (13.6, 74), (13, 81)],
}
CAPS: dict[str, tuple[float, float, Colour]] = {  # radius, height, colour
    "slim": (5.6, 8, OAK),
    "wide": (10, 6.5, (56, 58, 62)),
    "flask": (10.6, 9, STEEL),
}


def draw(canvas: Canvas, look: Look) -> None:
    wall = profile(SHAPES[look.variant])
    top, foot = wall[0][1], wall[-1][1]
    mask = canvas.fill(body(canvas, wall), look.colour)
    patch = surface(canvas, wall, top, foot)
    patterns.paint(canvas, mask, surface(canvas, wall, top + 12, foot), look.pattern, look.accents, 0.9)
    gloss(canvas, mask, patch, 0.5)
    _foot(canvas, wall)
    radius, height, colour = CAPS[look.variant]
    canvas.shade(canvas.mask(ring(canvas, top + 1.2, radius + 0.6)), 0.4, 0.9, mask)
    _cap(canvas, radius, top - height, top + 0.4, colour)
    if look.variant == "wide":
        _loop(canvas, top - height, look)


def _foot(canvas: Canvas, wall: Profile) -> None:
    r, y = wall[-1]
    band = body(canvas, [(r + 0.35, y - 3.2), (r, y + 0.3)]) - canvas.mask(ring(canvas, y - 3.2, r + 0.35))
    canvas.fill(band, STEEL)
    gloss(canvas, band, surface(canvas, [(r, y - 3), (r, y)], y - 3, y), 0.8)


def _cap(canvas: Canvas, radius: float, top: float, bottom: float, colour: Colour) -> None:
    wall = [(radius, top), (radius, bottom)]
    mask = canvas.fill(body(canvas, wall), colour)
    patch = surface(canvas, wall, top, bottom)
    if colour == STEEL:
        for i in range(24):
            canvas.shade(patch.patch(i / 24, 0.25, (i + 0.4) / 24, 0.95, 2), 0.2, 0, mask)
    gloss(canvas, mask, patch, 0.4)
    lid = canvas.mask(ring(canvas, top, radius))
    canvas.fill(
        lid,
        Ramp((50 - radius, top), (50 + radius, top), [(0, lighter(colour, 0.35)), (1, darker(colour, 0.12))]),
    )
    canvas.light(canvas.mask(ring(canvas, top, radius), cut=[ring(canvas, top + 0.25, radius - 0.5)]), 0.35)


def _loop(canvas: Canvas, top: float, look: Look) -> None:
    arch = ellipse(50, top + 0.4, 7.2, 7.6, 180, 360)
    mask = canvas.fill(Stroke(arch, 2.1), (66, 68, 72))
    canvas.volume(mask, 0.8, 0.4, 0.4)


KIND = Kind(
    "bottle",
    tuple(SHAPES),
    ("plain", "two-tone", "striped", "dotted", "leaf", "chevron", "triangle"),
    draw,
    near=1.2,
)
