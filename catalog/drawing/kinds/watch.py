"""Watches, laid flat: round, square, diver and chronograph."""

from __future__ import annotations

from catalog.drawing import patterns
from catalog.drawing.canvas import Canvas, Ramp
from catalog.drawing.colour import BRASS, STEEL, Colour, darker, lighter, luminance, mix
from catalog.drawing.geometry import Path, Stroke, ellipse, flat, rounded
from catalog.drawing.look import LYING, Kind, Look

ROSE: Colour = (214, 158, 132)
GUNMETAL: Colour = (74, 76, 82)
METALS: dict[str, Colour] = {"round": BRASS, "square": ROSE, "diver": STEEL, "chronograph": GUNMETAL}
CY = 50.0


def draw(canvas: Canvas, look: Look) -> None:
    _strap(canvas, look)
    metal = METALS[look.variant]
    _crown(canvas, look, metal)
    if look.variant == "square":
        outer, inner = rounded(32, 32, 68, 68, 7), rounded(34.6, 34.6, 65.4, 65.4, 5)
    else:
        outer, inner = ellipse(50, CY, 20.5, 20.5), ellipse(50, CY, 17.6, 17.6)
    case = canvas.mask(outer)
    canvas.shade(case.shifted(3, 5), 0.4, 1.0)
    _metal(canvas, outer, metal)
    if look.variant == "diver":
        _bezel(canvas, look)
    face = _face_colour(look)
    mask = canvas.fill(inner, Ramp((38, 36), (62, 66), [(0, lighter(face, 0.16)), (1, darker(face, 0.14))]))
    canvas.shade(canvas.mask(outer, cut=[inner]).shifted(2, 3), 0.45, 0.7, mask)
    _dial(canvas, look, face)
    glint = [(33, 44), (44, 31), (49, 31), (33, 50)]
    canvas.light(glint, 0.13, 0.6, mask)


def _face_colour(look: Look) -> Colour:
    if look.variant == "chronograph":
        return (38, 40, 46)
    return (
        (250, 247, 240)
        if luminance(look.colour) < 0.62 or look.pattern != "plain"
        else mix(look.colour, (30, 46, 72), 0.75)
    )


def _strap(canvas: Canvas, look: Look) -> None:
    for y0, y1 in ((5.5, 36), (64, 94.5)):
        tip = y1 > 64
        wide, narrow = 10.6, 8.4
        path: Path = (
            [(50 - wide, y0), (50 + wide, y0), (50 + narrow, y1 - 5), *ellipse(50, y1 - 5, narrow, 5, 0, 180, 16)]
            if tip
            else [(50 - narrow, y0), (50 + narrow, y0), (50 + wide, y1), (50 - wide, y1)]
        )
        mask = canvas.fill(path, look.colour)
        patterns.paint(canvas, mask, flat(39, y0, 61, y1), look.pattern, look.accents, 1.5)
        canvas.relief(mask, flat(39, y0, 61, y1), lambda u, v: 0.16 - 0.9 * (u - 0.4) ** 2, 20, 1, 0.8)
        canvas.volume(mask, 1.2, 0.45, 0.25)
        canvas.shade(Stroke([(40, y1 if not tip else y0), (60, y1 if not tip else y0)], 4), 0.4, 1.6, mask)
        if look.pattern == "plain":
            _stitching(canvas, look, y0, y1, tip)
        if tip:
            for y in (73, 78, 83):
                canvas.fill(ellipse(50, y, 0.75, 1.0), darker(look.colour, 0.65))
    buckle = canvas.mask(rounded(39.4, 3.4, 60.6, 9.4, 1.8), cut=[rounded(41.6, 5, 58.4, 7.8, 0.8)])
    canvas.shade(buckle.shifted(2, 3), 0.35, 0.6)
    canvas.volume(canvas.fill(buckle, METALS[look.variant]), 0.5, 0.5, 0.6)


def _stitching(canvas: Canvas, look: Look, y0: float, y1: float, tip: bool) -> None:
    thread = lighter(look.colour, 0.5) if luminance(look.colour) < 0.6 else darker(look.colour, 0.3)
    stop = y1 - 6 if tip else y1
    stitches: list[Stroke] = []
    for k in range(int((stop - y0) / 2)):
        y = y0 + 1.2 + k * 2
        t = (y - y0) / (y1 - y0)
        half = (10.6 - 2.2 * t if tip else 8.4 + 2.2 * t) - 1.5
        stitches += [Stroke([(50 + s * half, y), (50 + s * half, y + 0.9)], 0.3) for s in (-1, 1)]
    canvas.tint(canvas.mask(*stitches), thread, 0.85)


def _metal(canvas: Canvas, path: Path, metal: Colour) -> None:
    tones = [
        (0, lighter(metal, 0.7)),
        (0.25, metal),
        (0.5, lighter(metal, 0.45)),
        (0.75, darker(metal, 0.25)),
        (1, lighter(metal, 0.2)),
    ]
    mask = canvas.fill(path, Ramp((34, 32), (66, 68), tones))
    canvas.volume(mask, 0.8, 0.5, 0.5)


def _crown(canvas: Canvas, look: Look, metal: Colour) -> None:
    places = [(CY, 3.0)] + ([(CY - 9, 2.2), (CY + 9, 2.2)] if look.variant == "chronograph" else [])
    for y, half in places:
        x = 70 if y == CY else 67.5
        crown = canvas.fill(rounded(x - 2, y - half, x + 3, y + half, 0.9), metal)
        for k in range(5):
            canvas.shade(
                Stroke(
                    [(x + 0.6, y - half + 0.8 + k * half * 0.36), (x + 2.8, y - half + 0.8 + k * half * 0.36)], 0.25
                ),
                0.4,
                0,
                crown,
            )
        canvas.volume(crown, 0.5, 0.5, 0.5)
    lugs = [[(39, 30), (42.5, 29), (43, 38), (38, 38)], [(61, 30), (57.5, 29), (57, 38), (62, 38)]]
    for lug in lugs:
        for path in (lug, [(x, 2 * CY - y) for x, y in lug]):
            canvas.volume(canvas.fill(path, metal), 0.6, 0.5, 0.5)


def _bezel(canvas: Canvas, look: Look) -> None:
    ring = canvas.fill(ellipse(50, CY, 19.4, 19.4), darker(look.colour, 0.25))
    canvas.volume(ring, 1.0, 0.4, 0.5)
    for k in range(12):
        a, b = (ellipse(50, CY, r, r, k * 30 - 90, k * 30 - 89, 1)[0] for r in (18.0, 19.0))
        canvas.fill(Stroke([a, b], 0.8 if k % 3 == 0 else 0.4), (240, 240, 236))


def _dial(canvas: Canvas, look: Look, face: Colour) -> None:
    ink = (44, 44, 50) if luminance(face) > 0.5 else (238, 236, 230)
    metal = METALS[look.variant] if look.variant != "chronograph" else STEEL
    reach = 15.2 if look.variant == "square" else 16
    ticks: list[Stroke] = []
    marks: list[Stroke] = []
    for k in range(60):
        outer, inner, small = (
            ellipse(50, CY, r, r, k * 6 - 90, k * 6 - 89.9, 1)[0] for r in (reach, reach - 2.8, reach - 0.9)
        )
        (marks if k % 5 == 0 else ticks).append(
            Stroke([outer, inner if k % 5 == 0 else small], 0.75 if k % 5 == 0 else 0.2)
        )
    canvas.fill(canvas.mask(*ticks), ink, 0.6)
    canvas.fill(canvas.mask(*marks), ink if look.variant == "diver" else mix(metal, ink, 0.35))
    if look.variant == "chronograph":
        for x, y in ((43.4, CY), (56.6, CY), (50, CY + 7)):
            sub = canvas.fill(ellipse(x, y, 4.1, 4.1), (58, 60, 68))
            canvas.volume(sub, 0.4, 0.4, 0.2)
            canvas.fill(Stroke([(x, y), (x + 1.8, y - 2)], 0.35), look.accents[0])
    for angle, length, width, tone in ((-52, 9, 1.15, ink), (62 - 90 + 6, 13, 0.85, ink)):
        tip = ellipse(50, CY, length, length, angle, angle + 0.1, 1)[0]
        tail = ellipse(50, CY, 2.2, 2.2, angle + 180, angle + 180.1, 1)[0]
        hand = canvas.mask(Stroke([tail, tip], width))
        canvas.shade(hand.shifted(1, 2), 0.35, 0.25)
        canvas.fill(hand, tone)
    second = [ellipse(50, CY, r, r, a, a + 0.1, 1)[0] for r, a in ((3.5, -30), (14, 150))]
    canvas.fill(Stroke(second, 0.32), look.accents[0] if luminance(look.accents[0]) < 0.8 else (196, 70, 56))
    canvas.volume(canvas.fill(ellipse(50, CY, 1.1, 1.1), metal), 0.3, 0.4, 0.5)


KIND = Kind(
    "watch",
    tuple(METALS),
    ("plain", "pinstriped", "two-tone", "striped", "checked"),
    draw,
    base=None,
    horizon=None,
    views=LYING,
)
