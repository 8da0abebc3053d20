"""Sneakers from the side: low, high-top, slip-on and runner."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Mask, Ramp
from catalog.drawing.colour import CREAM, Colour, darker, lighter, luminance
from catalog.drawing.geometry import Path, Point, Stroke, bezier, ellipse, flat, spline
from catalog.drawing.look import Kind, Look

# The upper's outline from the toe over the laces and the collar to the heel.
UPPERS: dict[str, list[Point]] = {
    "low": [(12, 73), (13.5, 68), (19, 64.6), (27, 61.8), (36, 57), (45, 48.5), (52.5, 42.5), (57.5, 42.6), (61, 47),
            (68, 50.5), (76, 49), (82, 44.5), (86.5, 46), (87, 56), (87.5, 66), (88, 73)],
    "high-top": [(12, 73), (13.5, 68), (19, 64.6), (27, 61.8), (36, 57), (44.5, 46.5), (50.5, 35), (54, 25), (60, 24.5),
                 (64, 28), (73, 29.5), (82, 27.5), (86, 29), (86, 42), (86.5, 58), (88, 73)],
    "slip-on": [(12, 73), (13.5, 67.5), (19, 63.4), (28, 59.4), (37, 54.5), (45, 49), (52, 46), (57, 48.5), (64, 51.5),
                (72, 51), (80, 46.5), (86, 46.5), (87, 56), (87.5, 66), (88, 73)],
    "runner": [(9.5, 72), (12, 66.5), (19, 63), (28, 59.5), (37, 53.5), (46, 45), (53, 39), (58.5, 39.5), (61.5, 45),
               (69, 48.5), (77, 46), (83.5, 39), (88.5, 40), (88, 52), (88, 64), (89, 72)],
}  # fmt: skip


def draw(canvas: Canvas, look: Look) -> None:
    outline = [*spline(UPPERS[look.variant], closed=False, steps=8), (88, 77), (13, 77)]
    if look.variant != "slip-on":
        _tongue(canvas, look)
    _inside(canvas, look)
    upper = canvas.fill(outline, look.colour)
    patterns.paint(canvas, upper, flat(12, 34, 90, 78), look.pattern, look.accents, 0.9)
    _form(canvas, upper)
    _parts(canvas, look, upper)
    if look.variant == "slip-on":
        _gore(canvas, look, upper)
    else:
        _laces(canvas, look, upper)
    _sole(canvas, look)


def _form(canvas: Canvas, upper: Mask) -> None:
    canvas.relief(upper, flat(10, 34, 90, 78), lambda u, v: 0.2 - 0.75 * (v - 0.35) ** 2 - 0.16 * u, 12, 16, 2.0)
    canvas.volume(upper, 2.2, 0.38, 0.3)
    canvas.shade(Stroke([(12, 77), (90, 77)], 3), 0.3, 1.4, upper)
    canvas.light(ellipse(25, 64, 7, 2.2), 0.3, 1.4, upper)


def _tongue(canvas: Canvas, look: Look) -> None:
    top = {"low": (52, 37.5), "high-top": (52, 18.5), "runner": (53, 34)}[look.variant]
    x, y = top
    tongue = spline(
        [(x - 3.5, y + 2), (x + 2, y - 0.5), (x + 7, y + 2.5), (x + 9, y + 12), (x - 6, y + 16), (x - 6, y + 8)]
    )
    canvas.volume(canvas.fill(tongue, darker(_second(look), 0.08)), 1.4, 0.4, 0.3)


def _second(look: Look) -> Colour:
    """The colour of the smaller parts."""
    return look.accents[0] if look.pattern in ("two-tone", "plain") else lighter(look.colour, 0.15)


def _inside(canvas: Canvas, look: Look) -> None:
    cx, cy, rx, ry = {
        "low": (71, 47.5, 13, 4),
        "high-top": (73, 27.4, 11, 3),
        "slip-on": (70, 48.5, 15, 4),
        "runner": (73, 44, 13, 5),
    }[look.variant]
    canvas.fill(ellipse(cx, cy, rx, ry), darker(CREAM, 0.35))


def _parts(canvas: Canvas, look: Look, upper: Mask) -> None:
    """Toe cap, heel counter, eyestay and the stripe at the side."""
    second = _second(look)
    heel = spline([(90, 48), (82, 50), (79, 60), (77, 70), (76, 80), (92, 80)])
    _applied(canvas, canvas.mask(heel) & upper, second if look.variant != "slip-on" else look.colour)
    if look.variant in ("low", "high-top"):
        toe = canvas.mask(spline([(8, 64), (19, 61), (26, 63), (30, 70), (31, 80), (8, 80)])) & upper
        _applied(canvas, toe, CREAM if look.variant == "high-top" else second)
    if look.variant == "high-top":
        badge = canvas.fill(ellipse(72, 41, 5.4, 5.4), CREAM)
        canvas.volume(badge, 0.7, 0.35, 0.2)
        canvas.fill(canvas.mask(Stroke(ellipse(72, 41, 4, 4), 0.5)), second)
        star = [
            ellipse(72, 41, r, r, a, a + 0.1, 1)[0]
            for k in range(5)
            for r, a in ((2.9, k * 72 - 90), (1.15, k * 72 - 54))
        ]
        canvas.fill(star, second)
    if look.variant in ("low", "runner"):
        _side_stripe(canvas, look, upper)


def _applied(canvas: Canvas, mask: Mask, colour: Colour) -> None:
    canvas.shade(mask.shifted(1, 2), 0.3, 0.4)
    canvas.fill(mask, colour)
    canvas.volume(mask, 1.4, 0.35, 0.28)


def _side_stripe(canvas: Canvas, look: Look, upper: Mask) -> None:
    colour = look.accents[0] if look.pattern == "plain" else CREAM
    if look.variant == "runner":
        swing = [*bezier((40, 72), (52, 66), (60, 60), (72, 51)), *bezier((75, 54), (66, 64), (56, 70), (47, 75))]
        _applied(canvas, canvas.mask(swing) & upper, colour)
        return
    for x in (52, 57.5, 63):
        bar = [(x, 57), (x + 2.7, 56), (x - 2.4, 76), (x - 5.4, 76)]
        _applied(canvas, canvas.mask(bar) & upper, colour)


def _laces(canvas: Canvas, look: Look, upper: Mask) -> None:
    rows = {"low": 5, "high-top": 8, "runner": 5}[look.variant]
    (x0, y0), (x1, y1) = {
        "low": ((37, 56.5), (55, 45.5)),
        "high-top": ((37, 57), (55.5, 28)),
        "runner": ((37, 54), (56, 42.5)),
    }[look.variant]
    stay = [(x0 - 1, y0 + 0.5), (x1 - 1, y1 - 1.5), (x1 + 5.5, y1 + 2.5), (x0 + 6.5, y0 + 6)]
    _applied(canvas, canvas.mask(spline(stay, steps=6)) & upper, darker(_second(look), 0.05))
    lace = CREAM if luminance(_second(look)) < 0.8 else lighter(look.accents[1], 0.15)
    for i in range(rows):
        t = i / (rows - 1)
        x, y = x0 + (x1 - x0) * t, y0 + (y1 - y0) * t
        path: Path = bezier((x - 1.5, y - 1.6), (x + 1, y - 2.4), (x + 3.5, y), (x + 4.4, y + 2.6), 10)
        canvas.shade(canvas.mask(Stroke(path, 1.7)).shifted(1, 2), 0.35, 0.3)
        canvas.volume(canvas.fill(Stroke(path, 1.6), lace), 0.5, 0.4, 0.3)


def _gore(canvas: Canvas, look: Look, upper: Mask) -> None:
    """The elastic at the side of a slip-on."""
    gore = canvas.mask(spline([(45, 47), (56, 47), (53, 56), (45, 58), (41, 53)])) & upper
    _applied(canvas, gore, look.accents[0])
    for x in (44, 47, 50):
        canvas.shade(Stroke([(x, 46), (x - 1, 58)], 0.4), 0.35, 0.2, gore)
    canvas.volume(
        canvas.fill(Stroke(bezier((52, 46.5), (60, 53), (72, 53), (86, 46.5)), 1.8), darker(look.colour, 0.2)),
        0.6,
        0.4,
        0.3,
    )


def _sole(canvas: Canvas, look: Look) -> None:
    thick = look.variant == "runner"
    if thick:
        path = spline(
            [
                (9.5, 71),
                (22, 74),
                (45, 74.5),
                (65, 73),
                (90, 69),
                (92, 74),
                (89, 80),
                (80, 82.5),
                (50, 82),
                (25, 82.5),
                (13, 79),
            ],
            steps=6,
        )
    else:
        path = [
            *bezier((11.5, 72), (30, 75.5), (60, 76), (89, 73), 24),
            *bezier((89.8, 76), (89.5, 80), (89, 82), (86, 82.2), 8),
            (18, 82.2),
            *bezier((14, 82), (11, 79), (11, 76), (11.5, 72), 8),
        ]
    base = lighter(CREAM, 0.3)
    mask = canvas.fill(path, Ramp((0, 72), (0, 82), [(0, base), (0.6, darker(base, 0.06)), (1, darker(base, 0.28))]))
    canvas.volume(mask, 1.2, 0.35, 0.3)
    if thick:
        canvas.tint(spline([(58, 76), (75, 74.5), (90, 72), (88, 78), (72, 79)]), look.accents[0], 0.9, 0, mask)
        for i in range(9):
            canvas.shade(Stroke([(14 + i * 9, 80.6), (18 + i * 9, 80.6)], 0.7), 0.4, 0.2, mask)
    else:
        line = [(x, y + 3.4) for x, y in bezier((11.5, 72), (30, 75.5), (60, 76), (89, 73), 24)]
        canvas.tint(Stroke(line, 0.8), look.accents[0] if look.pattern == "plain" else look.colour, 0.85, 0, mask)
        canvas.shade(Stroke([(14, 81.8), (88, 81.8)], 1.1), 0.4, 0.2, mask)


KIND = Kind(
    "sneaker",
    tuple(UPPERS),
    ("plain", "two-tone", "checked", "floral", "striped", "dotted"),
    draw,
    base=81.6,
)
