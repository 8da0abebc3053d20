"""Headphones from the front: over-ear, on-ear, studio, and a pair for children."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas
from catalog.drawing.colour import BRASS, OAK, STEEL, Colour, darker, lighter
from catalog.drawing.geometry import Path, Point, Stroke, Surface, ellipse, flat, ribbon, rounded, turned
from catalog.drawing.look import LYING, Kind, Look

# Of the headband: half width, height, thickness; of a cup: half width, half height, centre's y.
BUILDS: dict[str, tuple[float, float, float, float, float, float]] = {
    "over-ear": (29, 36, 5.5, 9, 15, 62),
    "on-ear": (27, 33, 3.0, 7.5, 11, 60),
    "studio": (30, 35, 7.0, 10.5, 15.5, 62),
    "retro": (27, 34, 2.2, 8.5, 10.5, 62),
}
METAL: dict[str, Colour] = {"over-ear": STEEL, "on-ear": (70, 72, 78), "studio": (64, 66, 72), "retro": BRASS}


def draw(canvas: Canvas, look: Look) -> None:
    half, rise, thick, *_ = BUILDS[look.variant]
    arc = ellipse(50, 50, half, rise, 180, 360, 60)
    _yokes(canvas, look)
    for x, path in ((50 - half, arc[:7]), (50 + half, arc[-7:])):
        canvas.fill(Stroke([(x, 55), *path], thick * 0.45), METAL[look.variant])
    band = canvas.fill(ribbon(arc, [thick * 0.7, thick * 1.25, thick * 0.7]), look.colour)
    patterns.paint(canvas, band, _along(half, rise, thick), _band_pattern(look), look.accents, 2.2)
    canvas.volume(band, 1.2, 0.45, 0.35)
    canvas.light(Stroke(ellipse(50, 50, half + thick * 0.18, rise + thick * 0.25, 215, 275, 20), 0.8), 0.45, 0.6, band)
    if look.variant in ("over-ear", "studio"):
        pad = ellipse(50, 50, half - thick * 0.55, rise - thick * 0.62, 228, 312, 30)
        canvas.volume(canvas.fill(ribbon(pad, [1, 3.4, 1]), darker(look.colour, 0.5)), 0.9, 0.4, 0.3)
    for side in (-1, 1):
        _cup(canvas, look, side)


def _band_pattern(look: Look) -> str:
    return look.pattern if look.pattern not in ("plain", "two-tone") else "plain"


def _along(half: float, rise: float, thick: float) -> Surface:
    """The headband's own (u, v): along the arc, and across it."""

    def at(u: float, v: float) -> Point:
        grow = (0.5 - v) * thick * 1.3
        return ellipse(50, 50, half + grow, rise + grow, 180 + u * 180, 180 + u * 180 + 0.1, 1)[0]

    return Surface(at, 3.14 * (half + rise) / 2 / (thick * 1.3))


def _yokes(canvas: Canvas, look: Look) -> None:
    half, _, thick, _, h, y = BUILDS[look.variant]
    for side in (-1, 1):
        x = 50 + side * half
        arm = canvas.fill(Stroke([(x, y - h - 6), (x, y - h * 0.4)], thick * 0.5), METAL[look.variant])
        canvas.volume(arm, 0.6, 0.5, 0.5)


def _cup(canvas: Canvas, look: Look, side: int) -> None:
    half, _, _, w, h, y = BUILDS[look.variant]
    x = 50 + side * (half + 0.5)
    lean = side * 6.0
    pad = turned(
        rounded(x - side * w * 1.15 - w * 0.55, y - h * 0.94, x - side * w * 1.15 + w * 0.55, y + h * 0.94, w * 0.6),
        lean,
        x,
        y,
    )
    cushion = (52, 50, 54) if look.pattern != "two-tone" else look.accents[0]
    pad_mask = canvas.fill(pad, cushion)
    canvas.volume(pad_mask, 1.6, 0.45, 0.4)
    for k in (-0.45, 0, 0.45):
        canvas.shade(
            Stroke(turned([(x - side * w * 1.6, y + h * k), (x - side * w * 0.8, y + h * k * 1.1)], lean, x, y), 0.5),
            0.3,
            0.3,
            pad_mask,
        )
    shell: Path = turned(
        ellipse(x, y, w, h) if look.variant != "studio" else rounded(x - w, y - h, x + w, y + h, w * 0.85), lean, x, y
    )
    mask = canvas.mask(shell)
    canvas.shade(mask.shifted(-2 * side, 2), 0.4, 0.8)
    canvas.fill(mask, look.colour)
    patterns.paint(canvas, mask, flat(x - w, y - h, x + w, y + h), _band_pattern(look), look.accents, 1.3)
    canvas.relief(mask, flat(x - w, y - h, x + w, y + h), lambda u, v: 0.3 - 0.5 * u * u - 0.4 * v * v, 10, 14, 1.2)
    canvas.volume(mask, 1.8, 0.45, 0.4)
    _plate(canvas, look, x, y, w, h, lean)


def _plate(canvas: Canvas, look: Look, x: float, y: float, w: float, h: float, lean: float) -> None:
    """What is set into the outside of a cup."""
    colour = {"over-ear": lighter(look.colour, 0.12), "on-ear": OAK, "studio": METAL["studio"], "retro": BRASS}[
        look.variant
    ]
    if look.pattern == "two-tone":
        colour = look.accents[0]
    path = turned(ellipse(x, y, w * 0.55, h * 0.6), lean, x, y)
    plate = canvas.fill(path, colour)
    canvas.volume(plate, 0.9, 0.45, 0.4)
    canvas.light(ellipse(x - w * 0.18, y - h * 0.25, w * 0.16, h * 0.18), 0.4, 0.7, plate)
    if look.variant == "studio":
        canvas.fill(
            canvas.mask(Stroke(turned(ellipse(x, y, w * 0.36, h * 0.4), lean, x, y), 0.35)), lighter(STEEL, 0.2)
        )


KIND = Kind(
    "headphones",
    tuple(BUILDS),
    ("plain", "two-tone", "dotted", "striped", "leaf"),
    draw,
    base=None,
    horizon=None,
    views=LYING,
    near=1.06,
)
