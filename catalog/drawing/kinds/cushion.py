"""Cushions: square, long, round, with piping or tassels."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Mask
from catalog.drawing.colour import darker, lighter, luminance
from catalog.drawing.geometry import Path, Point, Stroke, Surface, bezier, ellipse, spline
from catalog.drawing.look import Kind, Look

# Half width, half height, and how far the sides sink in between the corners.
SIZES: dict[str, tuple[float, float, float]] = {
    "square": (27, 26, 2.4),
    "tasselled": (26, 25, 2.2),
    "long": (35, 20, 2.0),
    "round": (27, 27, 0),
}
CY = 56.0


def draw(canvas: Canvas, look: Look) -> None:
    half_w, half_h, sink = SIZES[look.variant]
    outline = _outline(look.variant, half_w, half_h, sink)
    if look.variant == "tasselled":
        _tassels(canvas, look, half_w, half_h)
    mask = canvas.fill(outline, look.colour)
    patch = _bulged(half_w, half_h)
    patterns.paint(canvas, mask, patch, look.pattern, look.accents)
    _stuffing(canvas, mask, patch, look.variant)
    _piping(canvas, look, outline)


def _outline(variant: str, w: float, h: float, sink: float) -> Path:
    if variant == "round":
        return ellipse(50, CY, w, h)
    corners: list[Point] = [(50 - w, CY - h), (50 + w, CY - h), (50 + w, CY + h), (50 - w, CY + h)]
    path: Path = []
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        nx, ny = (0, 1 if y0 < CY else -1) if y0 == y1 else (1 if x0 < 50 else -1, 0)
        a, b = 0.05, 0.3
        path += bezier(
            (x0 + (x1 - x0) * a, y0 + (y1 - y0) * a),
            (x0 + (x1 - x0) * b + nx * sink * 1.6, y0 + (y1 - y0) * b + ny * sink * 1.6),
            (x1 + (x0 - x1) * b + nx * sink * 1.6, y1 + (y0 - y1) * b + ny * sink * 1.6),
            (x1 + (x0 - x1) * a, y1 + (y0 - y1) * a),
            20,
        )
    return spline(path[::3], steps=4)


def _bulged(w: float, h: float) -> Surface:
    """A pillow swells towards us: a pattern is larger in the middle than at the edges."""

    def at(u: float, v: float) -> Point:
        x, y = 2 * u - 1, 2 * v - 1
        bulge = 1 + 0.07 * (1 - min(x * x, 1)) * (1 - min(y * y, 1))
        return 50 + x * w * bulge, CY + y * h * bulge

    return Surface(at, w / h)


def _stuffing(canvas: Canvas, mask: Mask, patch: Surface, variant: str) -> None:
    def height(u: float, v: float) -> float:
        x, y = 2 * u - 1, 2 * v - 1
        edge = max(abs(x), abs(y)) if variant != "round" else (x * x + y * y) ** 0.5
        return 0.16 - 0.2 * (x + 0.25) - 0.26 * (y + 0.2) - 0.24 * edge**3

    canvas.relief(mask, patch, height, 20, 20, 2.4)
    canvas.volume(mask, 2.0, 0.3, 0.2)
    w, h, _ = SIZES[variant]
    if variant == "round":
        for k in range(16):
            spoke = ellipse(50, CY, w * 0.88, h * 0.88, k * 22.5, k * 22.5 + 0.1, 1)[0]
            inner = ellipse(50, CY, 5, 5, k * 22.5, k * 22.5 + 0.1, 1)[0]
            canvas.shade(Stroke([inner, spoke], 0.7), 0.16, 0.6, mask)
        return
    for sx in (-1, 1):
        for sy in (-1, 1):  # creases that run in from the corners
            a, b = (50 + sx * w * 0.93, CY + sy * h * 0.93), (50 + sx * w * 0.66, CY + sy * h * 0.72)
            canvas.shade(Stroke([a, b], 1.0), 0.26, 0.9, mask)
            canvas.light(Stroke([(a[0] - 1.6, a[1] + 0.6), (b[0] - 1.6, b[1] + 0.6)], 0.9), 0.2, 0.9, mask)


def _piping(canvas: Canvas, look: Look, outline: Path) -> None:
    colour = look.accents[0] if look.pattern in ("plain", "two-tone") else darker(look.colour, 0.12)
    cord = canvas.fill(Stroke([*outline, outline[0]], 1.1), colour)
    canvas.volume(cord, 0.4, 0.4, 0.35)
    if look.variant == "round":
        button = canvas.fill(ellipse(50, CY, 3.2, 3.2), lighter(look.colour, 0.1))
        canvas.volume(button, 1.2, 0.5, 0.4)


def _tassels(canvas: Canvas, look: Look, w: float, h: float) -> None:
    thread = look.accents[0] if luminance(look.accents[0]) < 0.75 else darker(look.colour, 0.25)
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = 50 + sx * (w - 0.3), CY + sy * (h - 0.3)
            knot = (x + sx * 2.0, y + sy * 1.4)
            for k in range(9):
                spread = (k - 4) * 0.62
                end = (knot[0] + sx * 3.4 + spread * 0.75, knot[1] + (3.6 if sy > 0 else 2.2) - sx * spread * 0.35)
                canvas.fill(Stroke([knot, end], 0.7), darker(thread, 0.12 * (k % 3)))
            canvas.fill(Stroke([(x, y), knot], 1.1), thread)
            canvas.volume(canvas.fill(ellipse(*knot, 1.35, 1.35), thread), 0.5, 0.45, 0.35)


KIND = Kind(
    "cushion",
    tuple(SIZES),
    ("plain", "striped", "floral", "checked", "dotted", "leaf", "chevron", "argyle", "triangle"),
    draw,
    base=82,
    near=1.18,
)
