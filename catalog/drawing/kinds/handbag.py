"""Handbags: tote, satchel, bucket bag and a half-moon shoulder bag."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Mask, Ramp
from catalog.drawing.colour import BRASS, LEATHER, Colour, darker, lighter
from catalog.drawing.geometry import Path, Stroke, bezier, ellipse, flat, quad, rounded, spline
from catalog.drawing.look import Kind, Look


def draw(canvas: Canvas, look: Look) -> None:
    {"tote": _tote, "satchel": _satchel, "bucket": _bucket, "half-moon": _half_moon}[look.variant](canvas, look)


def _trim(look: Look) -> Colour:
    return LEATHER if look.pattern != "plain" else darker(look.colour, 0.22)


def _strap(canvas: Canvas, path: Path, width: float, colour: Colour) -> Mask:
    mask = canvas.fill(Stroke(path, width), colour)
    canvas.volume(mask, 0.6, 0.45, 0.3)
    return mask


def _stitches(canvas: Canvas, path: Path, colour: Colour) -> None:
    """A dashed line, one stitch for every second piece of the path."""
    dashes = [Stroke([a, b], 0.3) for a, b in zip(path[::2], path[1::2], strict=False)]
    canvas.tint(canvas.mask(*dashes), colour, 0.8)


def _metal(canvas: Canvas, path: Path) -> None:
    canvas.volume(canvas.fill(path, BRASS), 0.5, 0.5, 0.6)


def _tote(canvas: Canvas, look: Look) -> None:
    for dy, tone in ((-2.5, 0.35), (0, 0.0)):
        if dy == 0:
            outline = [(24, 42), (76, 42), (72.5, 81.2), (71.5, 82), (28.5, 82), (27.5, 81.2)]
            mask = canvas.fill(outline, look.colour)
            patterns.paint(canvas, mask, quad((24, 42), (76, 42), (72, 82), (28, 82), 1.25), look.pattern, look.accents)
            _leather(canvas, mask)
            band = canvas.fill([(24, 42), (76, 42), (75.6, 46), (24.4, 46)], _trim(look))
            canvas.volume(band, 0.8, 0.3, 0.2)
        handle = bezier((37, 49), (37, 14 + dy), (63, 14 + dy), (63, 49))
        _strap(canvas, handle, 2.4, darker(_trim(look), tone))
    for x in (37, 63):
        tab = canvas.fill(rounded(x - 2.4, 46.5, x + 2.4, 55, 1), _trim(look))
        canvas.volume(tab, 0.7, 0.4, 0.3)
        _metal(canvas, ellipse(x, 52.4, 0.8, 0.8))


def _leather(canvas: Canvas, mask: Mask) -> None:
    x0, y0, x1, y1 = (n / canvas.unit for n in mask.box)
    canvas.relief(mask, flat(x0, y0, x1, y1), lambda u, v: 0.2 - 0.36 * u * u - 0.28 * v * v, 12, 12, 2.5)
    canvas.volume(mask, 2.2, 0.35, 0.22)


def _satchel(canvas: Canvas, look: Look) -> None:
    arch = bezier((40, 42), (40, 22), (60, 22), (60, 42))
    _strap(canvas, arch, 2.6, darker(_trim(look), 0.1))
    for x in (40, 60):
        _metal(canvas, rounded(x - 2, 39.4, x + 2, 41.6, 0.6))
    side = canvas.fill(rounded(21, 43, 79, 82, 5), darker(look.colour, 0.22))
    canvas.volume(side, 2, 0.4, 0.15)
    front = canvas.fill(rounded(23, 42, 77, 81.5, 6), look.colour)
    _leather(canvas, front)
    flap_path = [
        *bezier((22.4, 45), (22.4, 41), (24, 40.6), (27, 40.6), 6),
        *bezier((73, 40.6), (76, 40.6), (77.6, 41), (77.6, 45), 6),
        *bezier((77.6, 58), (77, 66), (72, 67.5), (64, 67.6), 10),
        *bezier((36, 67.6), (28, 67.5), (23, 66), (22.4, 58), 10),
    ]
    flap = canvas.mask(flap_path)
    canvas.shade(flap.shifted(0, 6), 0.45, 1.2, front - flap)
    canvas.fill(flap, lighter(look.colour, 0.04))
    patterns.paint(canvas, flap, flat(22, 40, 78, 68), look.pattern, look.accents, 1.4)
    _leather(canvas, flap)
    inner = [(50 + (x - 50) * 0.955, 54 + (y - 54) * 0.93) for x, y in spline(flap_path[::3], steps=6)]
    _stitches(canvas, inner, lighter(look.colour, 0.55))
    for x in (36, 64):
        strap = canvas.fill(rounded(x - 2.2, 57, x + 2.2, 74, 1.6), _trim(look))
        canvas.volume(strap, 0.7, 0.45, 0.3)
        buckle = canvas.mask(rounded(x - 3.1, 65, x + 3.1, 70, 1), cut=[rounded(x - 1.9, 66.2, x + 1.9, 68.8, 0.5)])
        canvas.volume(canvas.fill(buckle, BRASS), 0.4, 0.5, 0.6)


def _bucket(canvas: Canvas, look: Look) -> None:
    _strap(canvas, bezier((33, 44), (26, 8), (74, 8), (67, 44)), 2.2, darker(_trim(look), 0.1))
    back = canvas.fill(ellipse(50, 41.5, 20, 4.5), darker(look.colour, 0.5))
    outline = [
        *bezier((30, 42), (33, 45.5), (42, 46), (50, 46), 10),
        *bezier((50, 46), (58, 46), (67, 45.5), (70, 42), 10),
        *bezier((71, 55), (73, 68), (74, 78), (72, 80), 10),
        *bezier((66, 83.4), (58, 84), (50, 84), (50, 84), 6),
        *bezier((50, 84), (42, 84), (34, 83.4), (28, 80), 6),
        *bezier((26, 78), (27, 68), (29, 55), (30, 42), 10),
    ]
    mask = canvas.fill(outline, look.colour)
    surface = quad((30, 41), (70, 41), (73.5, 84), (26.5, 84), 1.05)
    patterns.paint(canvas, mask, surface, look.pattern, look.accents)
    canvas.relief(mask, surface, lambda u, v: 0.2 - 1.3 * (u - 0.4) ** 2 - 0.1 * v, 24, 1, 1.5)
    for u in (0.17, 0.3, 0.44, 0.57, 0.7, 0.83):
        canvas.shade(Stroke([surface.at(u, 0.12), surface.at(u + 0.01, 0.42)], 1.2), 0.26, 1.1, mask)
    foot = canvas.fill(
        [
            *ellipse(50, 77, 23.4, 3.4, 180, 0, 24),
            (73.2, 79.5),
            *ellipse(50, 80.2, 22.2, 3.8, 0, 180, 24),
            (26.8, 79.5),
        ],
        _trim(look),
    )
    canvas.volume(foot, 1.4, 0.4, 0.25)
    for i in range(9):  # the cord goes in and out of the cloth
        a, b = 0.04 + i * 0.105, 0.1 + i * 0.105
        _strap(
            canvas,
            [surface.at(a, _cord(a)), surface.at((a + b) / 2, _cord((a + b) / 2)), surface.at(b, _cord(b))],
            1.1,
            _trim(look),
        )
    for x in (46, 54):
        _strap(canvas, bezier((50, 50.6), (x, 54), (x, 58), (x + (x - 50) * 0.2, 63)), 0.9, _trim(look))
        _metal(canvas, rounded(x - 1 + (x - 50) * 0.2, 62, x + 1 + (x - 50) * 0.2, 66, 0.8))
    canvas.volume(back, 0.5, 0.2, 0)


def _cord(u: float) -> float:
    """How far down the bucket the drawing cord runs."""
    return 0.13 + 0.09 * (1 - (2 * u - 1) ** 2)


def _half_moon(canvas: Canvas, look: Look) -> None:
    _strap(canvas, bezier((25, 48), (30, 4), (70, 4), (75, 48)), 2.8, darker(_trim(look), 0.08))
    outline = spline(
        [
            (20, 46),
            (35, 42.5),
            (50, 41.5),
            (65, 42.5),
            (80, 46),
            (80, 58),
            (73, 72),
            (60, 80.5),
            (50, 82),
            (40, 80.5),
            (27, 72),
            (20, 58),
        ]
    )
    mask = canvas.fill(outline, look.colour)
    patterns.paint(canvas, mask, flat(19, 41, 81, 83), look.pattern, look.accents)
    _leather(canvas, mask)
    zip_line = bezier((22.5, 49.5), (38, 45), (62, 45), (77.5, 49.5))
    canvas.fill(canvas.mask(Stroke(zip_line, 2.0)), _trim(look))
    canvas.fill(
        canvas.mask(Stroke(zip_line, 0.7)),
        Ramp((22, 0), (78, 0), [(0, darker(BRASS, 0.2)), (0.4, lighter(BRASS, 0.5)), (1, darker(BRASS, 0.3))]),
    )
    _metal(canvas, rounded(29, 47.4, 31.4, 53.5, 1))
    for x in (25, 75):
        _metal(canvas, ellipse(x, 47.6, 2.2, 2.2))
        canvas.fill(ellipse(x, 47.6, 1.1, 1.1), darker(look.colour, 0.5))
    _stitches(
        canvas,
        [(50 + (x - 50) * 0.94, 61 + (y - 61) * 0.92) for x, y in outline[28:104]],
        lighter(look.colour, 0.55),
    )


KIND = Kind(
    "handbag",
    ("tote", "satchel", "bucket", "half-moon"),
    ("plain", "striped", "two-tone", "checked", "leaf", "argyle", "dotted"),
    draw,
    base=82.5,
    near=1.1,
)
