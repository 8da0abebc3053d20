"""Chairs: wooden dining chair, shell chair, armchair and stool."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Mask
from catalog.drawing.colour import OAK, WALNUT, Colour, darker
from catalog.drawing.geometry import Path, Point, Stroke, Surface, bezier, ellipse, flat, quad, ribbon, rounded, spline
from catalog.drawing.look import Kind, Look


def draw(canvas: Canvas, look: Look) -> None:
    {"dining": _dining, "shell": _shell, "armchair": _armchair, "stool": _stool}[look.variant](canvas, look)


def _leg(canvas: Canvas, top: Point, foot: Point, widths: tuple[float, float], colour: Colour) -> None:
    mask = canvas.fill(ribbon([top, foot], widths), colour)
    canvas.volume(mask, 0.8, 0.45, 0.35)


def _upholstery(canvas: Canvas, look: Look, path: Path, patch: Surface, scale: float = 1.0, dark: float = 0.0) -> Mask:
    mask = canvas.fill(path, darker(look.colour, dark))
    patterns.paint(canvas, mask, patch, look.pattern, look.accents, scale)
    if dark:
        canvas.shade(mask, dark * 0.6)
    canvas.relief(mask, patch, lambda u, v: 0.18 - 0.3 * u * u - 0.3 * v * v, 12, 12, 2)
    canvas.volume(mask, 2.0, 0.4, 0.25)
    return mask


def _dining(canvas: Canvas, look: Look) -> None:
    """A frame of oak, spindles in the back and a padded seat."""
    for x, foot in ((33.0, 33.5), (64.0, 66.0)):
        _leg(canvas, (x, 54), (foot, 76), (2.2, 1.7), darker(OAK, 0.25))
    for x0, x1 in ((32.0, 33.0), (68.0, 67.0)):
        _leg(canvas, (x0, 14), (x1, 55), (2.4, 2.8), OAK)
    for i in range(5):
        x = 38.5 + i * 5.8
        canvas.volume(canvas.fill(Stroke([(x, 20), (x, 54)], 1.1), darker(OAK, 0.06)), 0.5, 0.4, 0.3)
    rail = [
        *bezier((29, 13), (40, 10.5), (60, 10.5), (71, 13), 16),
        *bezier((71.4, 20.5), (60, 18), (40, 18), (28.6, 20.5), 16),
    ]
    canvas.volume(canvas.fill(rail, OAK), 1.4, 0.4, 0.35)
    for x, foot in ((27.5, 25.5), (72.5, 74.5)):
        _leg(canvas, (x, 58), (foot, 83), (3, 2), OAK)
    _leg(canvas, (26.6, 72), (73.4, 72), (1.3, 1.3), darker(OAK, 0.1))
    apron = canvas.fill([(25.5, 58), (74.5, 58), (73.5, 63.5), (26.5, 63.5)], darker(OAK, 0.08))
    canvas.volume(apron, 0.9, 0.4, 0.3)
    seat = spline([(33, 51), (50, 50.2), (67, 51), (75, 57.6), (74.6, 60.6), (50, 61.6), (25.4, 60.6), (25, 57.6)])
    canvas.shade(canvas.mask(seat).shifted(0, 6), 0.3, 0.8)
    _upholstery(canvas, look, seat, quad((33, 50), (67, 50), (76, 61), (24, 61), 2.2), 1.7)


def _shell(canvas: Canvas, look: Look) -> None:
    """A moulded seat on splayed legs."""
    for top, foot, tone in (((42, 58), (37, 76), 0.3), ((58, 58), (63, 76), 0.3)):
        _leg(canvas, top, foot, (2.2, 1.4), darker(OAK, tone))
    for a, b in (((40, 62), (64, 72)), ((60, 62), (36, 72))):
        canvas.fill(Stroke([a, b], 0.6), (60, 60, 64))
    for top, foot in (((36, 60), (26, 83)), ((64, 60), (74, 83))):
        _leg(canvas, top, foot, (2.6, 1.6), OAK)
    back = spline(
        [
            (50, 14),
            (62, 15.5),
            (70, 23),
            (72, 36),
            (71, 48),
            (76, 50),
            (77, 56),
            (70, 60),
            (50, 62),
            (30, 60),
            (23, 56),
            (24, 50),
            (29, 48),
            (28, 36),
            (30, 23),
            (38, 15.5),
        ]
    )
    mask = _upholstery(canvas, look, back, flat(23, 13, 77, 63))
    bowl = canvas.mask(spline([(32, 47), (50, 44), (68, 47), (72, 53), (62, 58), (50, 59), (38, 58), (28, 53)]))
    canvas.light(bowl, 0.28, 2.2, mask)
    canvas.shade(Stroke(bezier((31, 47), (42, 42), (58, 42), (69, 47)), 2), 0.3, 1.6, mask)
    canvas.shade(Stroke(bezier((25, 57), (36, 63), (64, 63), (75, 57)), 2), 0.28, 1.2, mask)


def _armchair(canvas: Canvas, look: Look) -> None:
    for x, foot in ((29, 27), (71, 73)):
        _leg(canvas, (x, 74), (foot, 83), (3, 1.8), WALNUT)
    for x, foot in ((36, 37), (64, 63)):
        _leg(canvas, (x, 74), (foot, 79.5), (2.4, 1.6), darker(WALNUT, 0.3))
    back = spline([(50, 18), (64, 19), (71, 24), (73, 36), (72, 58), (50, 60), (28, 58), (27, 36), (29, 24), (36, 19)])
    _upholstery(canvas, look, back, flat(26, 17, 74, 60))
    for x in (41, 50, 59):
        canvas.shade(Stroke(bezier((x, 22), (x - 0.6, 34), (x + 0.6, 44), (x, 54)), 0.6), 0.2, 0.5)
    base = rounded(24, 60, 76, 75.5, 3)
    _upholstery(canvas, look, base, flat(22, 30, 78, 76), 1.0, 0.12)
    seat = rounded(28, 53, 72, 64, 5)
    canvas.shade(canvas.mask(seat).shifted(0, 5), 0.4, 1.0)
    _upholstery(canvas, look, seat, flat(26, 17, 74, 60), 1.0)
    for side in (1, -1):
        arm: Path = [(50 + side * (x - 50), y) for x, y in rounded(70, 43, 81, 75.5, 5)]
        canvas.shade(canvas.mask(arm).shifted(-3 * side, 3), 0.35, 1.0)
        _upholstery(canvas, look, arm, flat(22, 30, 78, 76), 1.0)


def _stool(canvas: Canvas, look: Look) -> None:
    for top, foot, tone in (((43, 46), (39, 74), 0.3), ((57, 46), (61, 74), 0.3)):
        _leg(canvas, top, foot, (2.4, 1.8), darker(OAK, tone))
    for y, half, tone in ((64, 17.5, 0.18),):
        _leg(canvas, (50 - half, y), (50 + half, y), (1.5, 1.5), darker(OAK, tone))
    for top, foot in (((36, 47), (28, 83)), ((64, 47), (72, 83))):
        _leg(canvas, top, foot, (3, 2.2), OAK)
    rim = [*ellipse(50, 46.5, 22, 22 * canvas.tilt * 0.9, 0, 180, 30), (28, 42), (72, 42)]
    canvas.volume(canvas.fill(rim, darker(OAK, 0.05)), 0.8, 0.4, 0.3)
    ry = 22 * canvas.tilt
    pad = [*ellipse(50, 40, 22.4, ry, 180, 360, 30), *ellipse(50, 44, 22.4, ry * 0.95, 0, 180, 30)]
    patch = Surface(lambda u, v: (50 + (2 * u - 1) * 22.4, 40 - ry + v * (2 * ry + 4)), 2.0)
    mask = _upholstery(canvas, look, pad, patch, 1.7)
    canvas.shade(Stroke(ellipse(50, 41, 22.4, ry * 0.95, 8, 172, 30), 0.5), 0.3, 0.3, mask)


KIND = Kind(
    "chair",
    ("dining", "shell", "armchair", "stool"),
    ("plain", "striped", "checked", "floral", "leaf", "two-tone", "dotted"),
    draw,
    base=82.0,
    horizon=66.0,
    near=1.06,
)
