"""Backpacks: daypack, flap, roll-top and a small round one."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Mask
from catalog.drawing.colour import BRASS, LEATHER, Colour, darker, lighter
from catalog.drawing.geometry import Path, Stroke, bezier, flat, mirrored, quad, rounded, symmetric
from catalog.drawing.look import Kind, Look

GREY = (74, 74, 80)


def draw(canvas: Canvas, look: Look) -> None:
    _straps(canvas, look)
    {"daypack": _daypack, "flap": _flap, "roll-top": _roll_top, "mini": _mini}[look.variant](canvas, look)


def _trim(look: Look) -> Colour:
    return LEATHER if look.variant in ("flap", "roll-top") else darker(look.colour, 0.3)


def _straps(canvas: Canvas, look: Look) -> None:
    """The shoulder straps, which show at both sides, and the handle on top."""
    top, wide = {"daypack": (20, 0), "flap": (24, 1), "roll-top": (22, 0), "mini": (30, -2)}[look.variant]
    right = bezier((64, top + 14), (80 + wide, top + 18), (82 + wide, 60), (73 + wide, 78))
    for path in (right, mirrored(right)):
        mask = canvas.fill(Stroke(path, 4.2), darker(look.colour, 0.34))
        canvas.volume(mask, 1.2, 0.4, 0.25)
    handle = bezier((44, top + 4), (44, top - 7), (56, top - 7), (56, top + 4))
    canvas.volume(canvas.fill(Stroke(handle, 2.4), _trim(look)), 0.8, 0.45, 0.3)


def _panel(
    canvas: Canvas, look: Look, path: Path, box: tuple[float, float, float, float], *, plain: bool = False
) -> Mask:
    """One padded piece of cloth, with its shadow on what is behind it."""
    mask = canvas.mask(path)
    canvas.shade(mask.shifted(2, 5), 0.35, 0.9)
    canvas.fill(mask, look.colour)
    if not plain:
        patterns.paint(canvas, mask, flat(*box), look.pattern, look.accents)
    canvas.relief(mask, flat(*box), lambda u, v: 0.2 - 0.42 * u * u - 0.26 * v * v, 12, 12, 2.5)
    canvas.volume(mask, 2.4, 0.4, 0.22)
    return mask


def _zip(canvas: Canvas, path: Path, look: Look, clip: Mask | None = None) -> None:
    canvas.tint(canvas.mask(Stroke(path, 1.7)), darker(look.colour, 0.45), 1, 0, clip)
    canvas.tint(canvas.mask(Stroke(path, 0.45)), (206, 206, 206), 0.9, 0, clip)
    x, y = path[-1]
    pull = canvas.fill(rounded(x - 0.9, y - 0.5, x + 0.9, y + 4.6, 0.8), _trim(look))
    canvas.volume(pull, 0.4, 0.45, 0.35)


def _daypack(canvas: Canvas, look: Look) -> None:
    half = [
        (50, 19),
        *bezier((54, 19), (66, 19), (72, 26), (73, 40), 12),
        *bezier((74.5, 52), (75.5, 64), (75.5, 74), (74, 79), 10),
        *bezier((72.5, 82.6), (66, 82.8), (58, 82.8), (50, 82.8), 8),
    ]
    mask = _panel(canvas, look, symmetric(half), (25, 19, 75, 83))
    _zip(canvas, bezier((29, 50), (27, 20), (73, 20), (71, 50)), look, mask)
    half = [
        (50, 52),
        *bezier((62, 52), (67, 53), (69.5, 56), (70, 64), 10),
        *bezier((70.5, 72), (70, 77), (67, 79), (62, 79.4), 8),
        (50, 79.6),
    ]
    pocket = _panel(canvas, look, symmetric(half), (25, 19, 75, 83), plain=look.pattern == "two-tone")
    _zip(canvas, bezier((34, 60), (38, 56), (62, 56), (66, 60)), look, pocket)
    label = canvas.fill(rounded(45.4, 65, 54.6, 70, 0.8), LEATHER)
    canvas.volume(label, 0.5, 0.35, 0.25)


def _flap(canvas: Canvas, look: Look) -> None:
    _panel(canvas, look, rounded(27, 30, 73, 82.5, 7), (27, 28, 73, 83), plain=look.pattern == "two-tone")
    for x0, x1 in ((22.5, 31), (69, 77.5)):
        _panel(canvas, look, rounded(x0, 58, x1, 81, 3.5), (27, 28, 73, 83), plain=True)
    front = _panel(canvas, look, rounded(33, 58, 67, 80, 4), (27, 28, 73, 83), plain=True)
    canvas.shade(Stroke([(33, 63), (67, 63)], 0.5), 0.3, 0.2, front)
    half = [
        (50, 23.5),
        *bezier((62, 23.5), (71, 25), (74, 30), (74.6, 38), 12),
        *bezier((75, 46), (74, 54), (71, 56.6), (64, 57), 10),
        (50, 57.4),
    ]
    flap = _panel(canvas, look, symmetric(half), (25, 23, 75, 58), plain=look.pattern == "two-tone")
    if look.pattern == "two-tone":
        canvas.tint(flap, look.accents[0], 0.82)
    for x in (40, 60):
        strap = canvas.fill(rounded(x - 2, 36, x + 2, 68, 1.5), LEATHER)
        canvas.volume(strap, 0.7, 0.45, 0.3)
        buckle = canvas.mask(rounded(x - 3, 59, x + 3, 64.4, 1), cut=[rounded(x - 1.8, 60.2, x + 1.8, 63.2, 0.5)])
        canvas.volume(canvas.fill(buckle, BRASS), 0.4, 0.5, 0.6)


def _roll_top(canvas: Canvas, look: Look) -> None:
    body = [
        (29, 31),
        (71, 31),
        *bezier((72.5, 50), (74, 66), (74, 78), (72, 82), 10),
        *bezier((60, 83.2), (40, 83.2), (28, 82), (28, 82), 8),
        *bezier((26, 78), (26, 66), (27.5, 50), (29, 31), 10),
    ]
    _panel(canvas, look, body, (26, 22, 74, 83))
    roll = _panel(canvas, look, rounded(27.4, 21, 72.6, 32, 5), (26, 22, 74, 83), plain=True)
    for y in (25, 28.6):
        canvas.shade(Stroke([(28, y), (72, y)], 0.7), 0.3, 0.4, roll)
    _panel(canvas, look, _roll_pocket(), (26, 22, 74, 83), plain=True)
    strap = canvas.fill(rounded(47.4, 26, 52.6, 55, 1.8), LEATHER)
    canvas.volume(strap, 0.8, 0.45, 0.3)
    hook = canvas.mask(rounded(46.4, 46, 53.6, 52, 1.4), cut=[rounded(47.8, 47.4, 52.2, 50.6, 0.8)])
    canvas.volume(canvas.fill(hook, GREY), 0.5, 0.5, 0.5)


def _roll_pocket() -> Path:
    """The roll-top's front pocket."""
    patch = quad((32, 56), (68, 56), (69.5, 79.5), (30.5, 79.5))
    return patch.patch(0, 0, 1, 1, 4)


def _mini(canvas: Canvas, look: Look) -> None:
    half = [
        (50, 29),
        *bezier((58, 29), (70, 31), (72, 46), (72, 58), 14),
        *bezier((72, 72), (71, 82), (62, 82.6), (50, 82.8), 12),
    ]
    mask = _panel(canvas, look, symmetric(half), (28, 29, 72, 83))
    _zip(canvas, bezier((31, 52), (31, 30), (69, 30), (69, 52)), look, mask)
    half = [
        (50, 57),
        *bezier((58, 57), (66, 57), (66.5, 62), (66, 70), 10),
        *bezier((65.5, 77), (63, 79.5), (58, 79.8), (50, 79.8), 8),
    ]
    pocket = _panel(canvas, look, symmetric(half), (28, 29, 72, 83), plain=look.pattern != "plain")
    canvas.shade(Stroke(bezier((35, 61.5), (42, 63), (58, 63), (65, 61.5)), 0.5), 0.35, 0.2, pocket)
    stud = canvas.fill(rounded(48.6, 60.6, 51.4, 65.4, 1.2), lighter(BRASS, 0.1))
    canvas.volume(stud, 0.5, 0.5, 0.6)


KIND = Kind(
    "backpack",
    ("daypack", "flap", "roll-top", "mini"),
    ("plain", "two-tone", "leaf", "striped", "tartan", "dotted", "triangle"),
    draw,
    base=82.6,
    near=1.12,
)
