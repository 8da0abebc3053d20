"""Shirts, laid flat: tee, long sleeve, polo and tank top."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Mask
from catalog.drawing.colour import CREAM, darker, lighter, luminance
from catalog.drawing.geometry import (
    Path,
    Point,
    Stroke,
    Surface,
    bezier,
    ellipse,
    flat,
    mirrored,
    quad,
    rounded,
    symmetric,
)
from catalog.drawing.look import LYING, Kind, Look

NECK: dict[str, tuple[float, float]] = {
    "tee": (8.5, 7),
    "long sleeve": (8, 5.5),
    "polo": (7, 5),
    "tank": (10, 13),
}
TOP = 18.0


def draw(canvas: Canvas, look: Look) -> None:
    width, scoop = NECK[look.variant]
    back = canvas.mask(ellipse(50, TOP + 0.6, width, 2.6))
    canvas.fill(back, darker(look.colour, 0.3))
    sleeves = _sleeves(look.variant)
    for sleeve in sleeves:
        _cloth(canvas, look, canvas.mask(sleeve), _sleeve_surface(look.variant, sleeve is sleeves[1]), sleeve=True)
    trunk = canvas.mask(_trunk(look.variant, width), cut=[ellipse(50, TOP, width - 0.3, scoop)])
    canvas.shade(trunk, 0.35, 1.2)
    _cloth(canvas, look, trunk, flat(27, TOP, 73, 84))
    _folds(canvas, trunk)
    _neckline(canvas, look, width, scoop, trunk)
    _seams(canvas, look, trunk)


def _trunk(variant: str, width: float) -> Path:
    if variant == "tank":
        arm = bezier((62.5, TOP + 0.6), (62, TOP + 14), (64, TOP + 20), (71, TOP + 23), 16)
        half = [(50 + width, TOP), *arm, *bezier((71, 41), (70, 56), (70.5, 70), (71.5, 84), 10)]
    else:
        half = [
            (50 + width, TOP),
            *bezier((50 + width, TOP), (62, 20), (66, 21), (70, 23), 8),
            *bezier((71.5, 38), (70.4, 54), (70.6, 70), (71.6, 84), 12),
        ]
    hem = bezier((71.6, 84), (62, 85.6), (54, 85.6), (50, 85.6), 8)
    return symmetric([*half, *hem])


def _sleeves(variant: str) -> list[Path]:
    if variant == "tank":
        return []
    if variant == "long sleeve":
        right = [
            *bezier((69, 22.6), (76, 26), (79, 34), (82, 48), 10),
            *bezier((84, 58), (86, 68), (87, 74), (87.4, 78), 8),
            (80, 79.4),
            *bezier((79, 70), (77.5, 62), (75, 52), (71.4, 40), 12),
            (69, 38),
        ]
    else:
        right = [
            *bezier((69, 22.6), (77, 26), (82, 33), (87.6, 42), 14),
            *bezier((87.6, 42), (84, 45), (80, 47.5), (76.4, 49), 6),
            *bezier((75, 46), (73.5, 43), (72.5, 41), (70.6, 39), 6),
        ]
    return [right, mirrored(right)]


def _sleeve_surface(variant: str, left: bool) -> Surface:
    corners: list[Point] = [(66, 18), (90, 40), (78, 52), (64, 36)]
    if variant == "long sleeve":
        corners = [(66, 18), (82, 18), (92, 82), (74, 84)]
    if left:
        corners = [(100 - x, y) for x, y in (corners[1], corners[0], corners[3], corners[2])]
    return quad(corners[0], corners[1], corners[2], corners[3], 0.3 if variant == "long sleeve" else 1.4)


def _cloth(canvas: Canvas, look: Look, mask: Mask, patch: Surface, *, sleeve: bool = False) -> None:
    """One piece, with its pattern; two-tone is a raglan: only the sleeves have the other colour."""
    raglan = look.pattern == "two-tone"
    canvas.fill(mask, look.accents[0] if raglan and sleeve else look.colour)
    if not raglan:
        patterns.paint(canvas, mask, patch, look.pattern, look.accents)
    canvas.volume(mask, 2.4, 0.34, 0.2)


def _folds(canvas: Canvas, trunk: Mask) -> None:
    """A few soft creases, from the armpits and up from the hem."""
    for path, alpha in (
        (bezier((69, 42), (62, 47), (60, 54), (61, 62)), 0.22),
        (bezier((31, 42), (38, 46), (41, 51), (41, 58)), 0.2),
        (bezier((38, 83), (39, 74), (37, 66), (39, 60)), 0.16),
        (bezier((59, 84), (58, 77), (61, 72), (60, 66)), 0.18),
    ):
        canvas.shade(Stroke(path, 1.3), alpha, 1.1, trunk)
        canvas.light(Stroke([(x - 1.7, y - 0.3) for x, y in path], 1.1), alpha, 1.0, trunk)


def _neckline(canvas: Canvas, look: Look, width: float, scoop: float, trunk: Mask) -> None:
    rib = Stroke(ellipse(50, TOP, width + 0.6, scoop + 0.6, 4, 176), 2.0)
    mask = canvas.fill(canvas.mask(rib), look.accents[0] if look.pattern == "two-tone" else darker(look.colour, 0.07))
    canvas.volume(mask, 0.6, 0.35, 0.3)
    if look.variant == "polo":
        _collar(canvas, look)
    else:
        canvas.fill(rounded(48.2, TOP + 1.4, 51.8, TOP + 3.1, 0.2), CREAM)


def _collar(canvas: Canvas, look: Look) -> None:
    placket = canvas.fill([(48, 22), (52, 22), (52, 38), (48, 38)], darker(look.colour, 0.06))
    canvas.volume(placket, 0.5, 0.4, 0.2)
    for y in (27, 31, 35):
        canvas.volume(canvas.fill(ellipse(50, y, 0.75, 0.75), CREAM), 0.3, 0.5, 0.2)
    right = [(57.6, 16.8), (60.2, 20.6), (54.2, 28.4), (50, 23.4), (53.6, 20.4)]
    for wing in (right, mirrored(right)):
        canvas.shade(canvas.mask(wing).shifted(2, 4), 0.3, 0.6)
        canvas.volume(canvas.fill(wing, lighter(look.colour, 0.06)), 0.8, 0.35, 0.25)


def _seams(canvas: Canvas, look: Look, trunk: Mask) -> None:
    ink = canvas.shade if luminance(look.colour) > 0.3 else canvas.light
    for dy in (2.2, 2.8):
        hem = [(x, y - dy) for x, y in bezier((28.4, 84), (40, 85.9), (60, 85.9), (71.6, 84))]
        ink(Stroke(hem, 0.22), 0.35, 0.1, trunk)
    if look.variant != "tank":
        for side in (
            bezier((70, 23), (68.6, 30), (69.4, 35), (71, 39)),
            bezier((30, 23), (31.4, 30), (30.6, 35), (29, 39)),
        ):
            canvas.shade(Stroke(side, 0.5), 0.35, 0.25, trunk)


KIND = Kind(
    "shirt",
    tuple(NECK),
    ("plain", "breton", "two-tone", "dotted", "floral", "striped", "tartan"),
    draw,
    base=None,
    horizon=None,
    views=LYING,
    near=1.1,
)
