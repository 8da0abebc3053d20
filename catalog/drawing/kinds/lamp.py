"""Lamps: a fabric shade over a turned or a metal foot."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Mask, Ramp
from catalog.drawing.colour import BRASS, OAK, Colour, darker, lighter, mix
from catalog.drawing.geometry import Point, Stroke, Surface, ellipse
from catalog.drawing.lathe import body, gloss, profile, ring, surface
from catalog.drawing.look import Kind, Look

GLOW: Colour = (255, 236, 190)
SHADES: dict[str, list[Point]] = {
    "drum": [(19, 18), (20.5, 44)],
    "cone": [(10, 17), (23, 45)],
    "dome": [(4, 20), (14, 23), (20.5, 31), (22.5, 43)],
    "tripod": [(16, 16), (21, 41)],
}


def draw(canvas: Canvas, look: Look) -> None:
    wall = profile(SHADES[look.variant], smooth=look.variant == "dome")
    {"drum": _ceramic_foot, "cone": _wooden_foot, "dome": _metal_foot, "tripod": _legs}[look.variant](canvas, look)
    (top_r, top), (r, bottom) = wall[0], wall[-1]
    canvas.fill(ring(canvas, bottom, r), mix(GLOW, look.colour, 0.25))
    mask = body(canvas, wall)
    canvas.fill(mask, look.colour)
    patch = surface(canvas, wall, top, bottom)
    patterns.paint(canvas, mask, patch, look.pattern, look.accents, 1.25)
    _lit(canvas, mask, patch)
    canvas.fill(ring(canvas, top, top_r), mix(lighter(look.colour, 0.5), GLOW, 0.5))
    for y, edge in ((top, top_r), (bottom, r)):
        canvas.shade(Stroke(ellipse(50, y, edge - 0.1, edge * canvas.tilt, 0, 180), 0.7), 0.18, 0.15, mask)


def _lit(canvas: Canvas, mask: Mask, patch: Surface) -> None:
    """Cloth with a bulb behind it: brightest in the middle, warm, darker towards the edges."""
    canvas.relief(mask, patch, lambda u, v: 0.34 - 1.5 * (u - 0.47) ** 2 - 0.5 * (v - 0.6) ** 2, 24, 8, 1.6)
    canvas.tint(canvas.mask(ellipse(50, 34, 11, 9)), GLOW, 0.4, 4, mask)


def _ceramic_foot(canvas: Canvas, look: Look) -> None:
    wall = profile([(2.2, 44), (2.6, 47), (8.5, 53), (12.5, 63), (11, 74), (7.5, 81)])
    mask = canvas.fill(body(canvas, wall), look.accents[0] if look.pattern != "plain" else lighter(look.colour, 0.55))
    gloss(canvas, mask, surface(canvas, wall, 44, 81), 0.8)
    _rod(canvas, 40, 47, 1.5)


def _wooden_foot(canvas: Canvas, look: Look) -> None:
    wall = profile([(1.6, 42), (1.7, 60), (2.2, 74), (4, 77.5), (11, 79.5), (12, 81.5)])
    mask = canvas.fill(body(canvas, wall), OAK)
    gloss(canvas, mask, surface(canvas, wall, 42, 81), 0.3)


def _metal_foot(canvas: Canvas, look: Look) -> None:
    _rod(canvas, 40, 80, 1.9)
    disc = [(12, 79.2), (12.6, 81.6)]
    mask = canvas.fill(body(canvas, disc), BRASS)
    gloss(canvas, mask, surface(canvas, disc, 79, 82), 0.9)
    canvas.fill(
        ring(canvas, 79.2, 12),
        Ramp(
            (38, 79),
            (62, 79),
            [(0, darker(BRASS, 0.1)), (0.35, lighter(BRASS, 0.5)), (1, darker(BRASS, 0.2))],
        ),
    )
    _rod(canvas, 60, 79, 1.9)


def _rod(canvas: Canvas, y0: float, y1: float, width: float) -> None:
    mask = canvas.mask(Stroke([(50, y0), (50, y1)], width))
    canvas.fill(
        mask,
        Ramp(
            (50 - width / 2, 0),
            (50 + width / 2, 0),
            [(0, darker(BRASS, 0.3)), (0.35, lighter(BRASS, 0.6)), (1, darker(BRASS, 0.35))],
        ),
    )


def _legs(canvas: Canvas, look: Look) -> None:
    for x, y, tone in ((46, 76, 0.3), (32, 82, 0.0), (67, 82, 0.1)):
        leg = [(49.2, 38), (50.8, 38), (x + 0.9, y), (x - 0.9, y)]
        mask = canvas.fill(leg, darker(OAK, tone))
        canvas.volume(mask, 0.5, 0.4, 0.3)


KIND = Kind(
    "lamp",
    tuple(SHADES),
    ("plain", "pinstriped", "dotted", "floral", "leaf", "chevron"),
    draw,
    near=1.1,
)
