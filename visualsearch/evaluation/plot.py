"""Precision against coverage, drawn with Pillow: no plotting library is needed for two lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from visualsearch.evaluation.coverage import Curve

WIDTH, HEIGHT = 1200, 800
LEFT, RIGHT, TOP, BOTTOM = 110, 48, 132, 150  # pixels around the axes
FINER = 2  # drawn so many times larger, then reduced: Pillow's lines have hard edges
FEWEST = 20  # answers: the precision of fewer swings from 0 to 1 and says nothing

PAPER, INK, QUIET, GRID = (255, 255, 255), (29, 29, 31), (112, 112, 118), (232, 232, 229)
COLOURS = ((24, 95, 165), (216, 106, 28))  # blue and orange, told apart by every kind of colour vision

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A curve and its name in the legend."""

    name: str
    curve: Curve


def coverage_plot(lines: Sequence[Line], queries: int) -> Image.Image:
    """How many of the answers shown are right, where only those above a score are; the scores stand below the axis.

    The shaded band is Wilson's 95% interval. At most two lines. The first answers, too few to say anything, are left
    out.
    """
    size = (WIDTH * FINER, HEIGHT * FINER)
    image = Image.new("RGB", size, PAPER)
    lowest = _lowest(lines)
    place = _placed(lowest)
    _draw_grid(ImageDraw.Draw(image), place, lowest)
    for line, colour in zip(lines, COLOURS, strict=False):
        image = _draw_band(image, line.curve, place, colour)
    draw = ImageDraw.Draw(image)
    for line, colour in zip(lines, COLOURS, strict=False):
        points = [place(x, y) for x, y in _steps(line.curve)]
        draw.line(points, colour, 3 * FINER, joint="curve")
    _draw_texts(draw, lines, place, queries, lowest)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def _shown(curve: Curve) -> slice:
    """Points of enough answers; the last one at least."""
    answers = curve.coverage * curve.answers
    return slice(min(int(np.searchsorted(answers, FEWEST - 1e-6)), len(answers) - 1), None)


def _lowest(lines: Sequence[Line]) -> float:
    """Where the precision's axis begins: a round tenth below everything shown."""
    least = min(float(line.curve.low[_shown(line.curve)].min()) for line in lines)
    return max(0.0, min(0.9, math.floor(least * 10 - 0.01) / 10))


def _placed(lowest: float) -> Callable[[float, float], Point]:
    """(coverage, precision) -> pixels."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> Point:
        down = (1 - y) / (1 - lowest)
        return (LEFT + x * width) * FINER, (TOP + down * height) * FINER

    return place


def _steps(curve: Curve) -> list[Point]:
    shown = _shown(curve)
    return [(float(x), float(y)) for x, y in zip(curve.coverage[shown], curve.precision[shown], strict=True)]


def _draw_band(
    image: Image.Image, curve: Curve, place: Callable[[float, float], Point], colour: tuple[int, int, int]
) -> Image.Image:
    shown = _shown(curve)
    coverage = curve.coverage[shown]
    upper = [place(float(x), float(y)) for x, y in zip(coverage, curve.high[shown], strict=True)]
    lower = [place(float(x), float(y)) for x, y in zip(coverage, curve.low[shown], strict=True)]
    if len(upper) < 2:
        return image
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).polygon([*upper, *reversed(lower)], fill=38)
    return Image.composite(Image.new("RGB", image.size, colour), image, mask)


def _draw_grid(draw: ImageDraw.ImageDraw, place: Callable[[float, float], Point], lowest: float) -> None:
    ticks = round((1 - lowest) * 10)
    for number in range(ticks + 1):
        y = 1 - number / 10
        draw.line([place(0, y), place(1, y)], GRID, FINER)
        x, middle = place(0, y)
        draw.text((x - 14 * FINER, middle), f"{y:.0%}", QUIET, _font(18), anchor="rm")
    for number in range(11):
        x, y = place(number / 10, lowest)
        draw.line([(x, y), (x, y + 7 * FINER)], QUIET, FINER)
        draw.text((x, y + 14 * FINER), f"{number * 10}%", QUIET, _font(18), anchor="mt")
    draw.line([place(0, lowest), place(1, lowest)], QUIET, FINER)


def _draw_texts(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[Line],
    place: Callable[[float, float], Point],
    queries: int,
    lowest: float,
) -> None:
    """Title, legend, and below the axis the score at which each share of the queries is answered."""
    draw.text((LEFT * FINER, 30 * FINER), "Precision against coverage", INK, _font(28))
    said = f"Of the {queries:,} queries, those whose nearest picture scores high enough: how many are right"
    draw.text((LEFT * FINER, 68 * FINER), said, QUIET, _font(18))
    x = float(LEFT)
    _, axis = place(0, lowest)
    for row, (line, colour) in enumerate(zip(lines, COLOURS, strict=False)):
        middle = 110 * FINER
        draw.line([(x * FINER, middle), ((x + 34) * FINER, middle)], colour, 4 * FINER)
        name = _fitted(line.name, (WIDTH - LEFT - RIGHT) / len(lines) - 84)
        draw.text(((x + 44) * FINER, middle), name, INK, _font(18), anchor="lm")
        x += 44 + _font(18).getlength(name) / FINER + 40
        y = axis + (66 + 26 * row) * FINER
        draw.text(((LEFT - 14) * FINER, y), "score", colour, _font(16), anchor="rs")
        for number in range(1, 11):
            score = line.curve.score[line.curve.at(number / 10)]
            draw.text((place(number / 10, lowest)[0], y), f"{score:.2f}", colour, _font(16), anchor="ms")
    draw.text(
        (place(0.5, lowest)[0], axis + (64 + 26 * len(lines)) * FINER),
        "Queries answered",
        QUIET,
        _font(18),
        anchor="mt",
    )


def _fitted(name: str, width: float) -> str:
    """The end of a name that is too long: dotted paths and files differ there."""
    if _font(18).getlength(name) <= width * FINER:
        return name
    while name and _font(18).getlength("..." + name) > width * FINER:
        name = name[1:]
    return "..." + name


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * FINER)
