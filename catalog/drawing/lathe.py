"""Round things - mugs, vases, bottles, lamps: a profile turned about an upright axis, seen slightly from above."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from catalog.drawing.canvas import Canvas, Mask
from catalog.drawing.geometry import Path, Point, Surface, ellipse, spline

Profile = list[Point]  # (radius, y), from the top down


def profile(points: Sequence[Point], *, smooth: bool = True) -> Profile:
    return spline(points, closed=False, steps=8) if smooth else list(points)


def radius(turned: Profile, heights: list[float], y: float) -> float:
    """The profile's radius at height ``y``; its first or last beyond its ends. ``heights``: those of its points."""
    i = bisect_right(heights, y)
    if i in (0, len(turned)):
        return turned[max(i - 1, 0)][0]
    (r0, y0), (r1, y1) = turned[i - 1], turned[i]
    return r0 + (r1 - r0) * (y - y0) / (y1 - y0)


def body(canvas: Canvas, turned: Profile, cx: float = 50) -> Mask:
    """The silhouette: every circle of the profile, and the outline between them."""
    outline = [(cx + r, y) for r, y in turned] + [(cx - r, y) for r, y in reversed(turned)]
    rings = [ellipse(cx, y, r, r * canvas.tilt, steps=48) for r, y in turned[:: max(len(turned) // 24, 1)]]
    ends = [ellipse(cx, y, r, r * canvas.tilt) for r, y in (turned[0], turned[-1])]
    return canvas.mask(outline, *rings, *ends)


def surface(canvas: Canvas, turned: Profile, top: float, bottom: float, cx: float = 50) -> Surface:
    """The front half between two heights: u runs from the left edge over the front to the right edge."""

    heights = [y for _, y in turned]

    def at(u: float, v: float) -> Point:
        seen = min(max(u, 0.0), 1.0)
        angle = (seen - 0.5) * math.pi
        y = top + (bottom - top) * v
        r = radius(turned, heights, y)
        beyond = (u - seen) * math.pi  # past the edge patterns go straight on, to cover the outline's last pixel
        return cx + r * (math.sin(angle) + beyond), y + r * canvas.tilt * math.cos(angle)

    widest = max(r for r, y in turned if top <= y <= bottom) if turned else 1
    return Surface(at, math.pi * widest / (bottom - top))


def ring(canvas: Canvas, y: float, r: float, cx: float = 50) -> Path:
    """The circle at height ``y``, as seen."""
    return ellipse(cx, y, r, r * canvas.tilt)


def gloss(canvas: Canvas, mask: Mask, patch: Surface, shine: float = 0.5) -> None:
    """Shades a turned body: bright left of the middle, dark at the edges, a little light back at the right.

    ``shine``: 0 matt to 1 glazed; glazed things have a narrow window of light.
    """
    canvas.relief(mask, patch, lambda u, v: _round_light(u), across=40, blur=0.9)
    if shine:
        streak = patch.patch(0.19, 0.06, 0.245, 0.9)
        canvas.light(streak, 0.75 * shine, blur=0.5, clip=mask)
        canvas.light(patch.patch(0.77, 0.1, 0.79, 0.85), 0.3 * shine, blur=0.5, clip=mask)


def _round_light(u: float) -> float:
    angle = (u - 0.5) * math.pi
    lit = math.cos(angle + 0.75)
    return 0.42 * lit - 0.27 - 0.16 * (abs(2 * u - 1) ** 4) + 0.12 * max(0.0, u - 0.86) / 0.14
