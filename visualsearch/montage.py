"""A query and its results as one picture, to be looked at; or several queries, a row each."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from visualsearch.exceptions import ImageRefused
from visualsearch.images import open_image

SIDE = 220  # pixels, of a result's square
QUERY_SIDE = 340  # of the query's
GAP = 20
MARGIN = 32
HEADING = 44  # height of the line above the pictures
CAPTION = 52  # height of the two lines below a picture
MAX_COLUMNS = 8
ROW_SIDE = 150  # pixels, of a square where each query has a row
FRAME = 5  # pixels, of the frame that says whether a result is right

PAPER = (255, 255, 255)
GROUND = (244, 244, 242)
INK = (29, 29, 31)
QUIET = (112, 112, 118)
RULE = (222, 222, 218)
RIGHT = (38, 140, 84)
WRONG = (205, 62, 54)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Tile:
    """One picture with two lines below it. Without a picture the square shows ``missing``. ``frame`` is its colour."""

    picture: Image.Image | None
    strong: str = ""
    quiet: str = ""
    missing: str = ""
    frame: Colour | None = None


@dataclass(frozen=True)
class Row:
    """A query and its results in rank order. A ``heading`` begins a new group of rows."""

    query: Tile
    results: Sequence[Tile]
    heading: str = ""


def read(opened: Callable[[], Any]) -> tuple[Image.Image | None, str]:
    """The picture in the file that ``opened`` opens, or None and the reason in a few words."""
    try:
        with contextlib.closing(opened()) as file:
            return open_image(file, side=QUERY_SIDE), ""
    except ImageRefused as refusal:
        return None, refusal.code.replace("_", " ")
    except FileNotFoundError:
        return None, "file missing"
    except Exception as fault:  # a storage may raise anything: its library's own errors, sockets, time-outs
        return None, type(fault).__name__


def montage(query: Sequence[Tile], results: Sequence[Tile], heading: str = "Query") -> Image.Image:
    """The query's pictures (the first one large) on the left, the results in rank order on the right.

    Captions are drawn in Pillow's own font, which has Latin letters only.
    """
    columns = _columns(len(results))
    left = MARGIN + QUERY_SIDE + 2 * GAP
    top = MARGIN + HEADING
    rows = math.ceil(len(results) / columns)
    width = left + columns * (SIDE + GAP) - GAP + MARGIN
    height = top + max(_query_height(len(query)), rows * (SIDE + CAPTION + GAP) - GAP) + MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), heading, INK, _font(24))
    draw.text((left, MARGIN), "Results" if results else "No results", INK, _font(24))
    draw.line([(left - GAP, MARGIN), (left - GAP, height - MARGIN)], RULE, 1)
    _draw_query(sheet, draw, query, top)
    for number, tile in enumerate(results):
        row, column = divmod(number, columns)
        _draw_tile(sheet, draw, tile, left + column * (SIDE + GAP), top + row * (SIDE + CAPTION + GAP), SIDE)
    return sheet


def rows_montage(rows: Sequence[Row], heading: str) -> Image.Image:
    """Several queries, each in a row with its results to the right of it."""
    columns = max((len(row.results) for row in rows), default=0)
    left, step = MARGIN + ROW_SIDE + 2 * GAP, ROW_SIDE + GAP // 2
    groups = sum(bool(row.heading) for row in rows)
    height = 2 * MARGIN + HEADING + groups * HEADING + len(rows) * (ROW_SIDE + CAPTION + GAP) - GAP
    title = math.ceil(_font(24).getlength(heading))
    sheet = Image.new("RGB", (max(left + columns * step, 2 * MARGIN + title) + MARGIN, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), heading, INK, _font(24))
    y = MARGIN + HEADING
    for row in rows:
        if row.heading:
            draw.line([(MARGIN, y), (sheet.width - MARGIN, y)], RULE, 1)
            draw.text((MARGIN, y + 10), row.heading, INK, _font(18))
            y += HEADING
        _draw_tile(sheet, draw, row.query, MARGIN, y, ROW_SIDE)
        for number, tile in enumerate(row.results):
            _draw_tile(sheet, draw, tile, left + number * step, y, ROW_SIDE)
        y += ROW_SIDE + CAPTION + GAP
    return sheet


def _columns(count: int) -> int:
    """A sheet half as wide again as high, or nearly so where that leaves fewer empty places in the last row."""
    ideal = min(MAX_COLUMNS, max(4, math.ceil(math.sqrt(1.5 * count))))
    return min((ideal, ideal - 1, ideal + 1), key=lambda columns: (-count % columns, abs(columns - ideal)))


def _small_side() -> int:
    return (QUERY_SIDE - GAP) // 2


def _query_height(count: int) -> int:
    return QUERY_SIDE + CAPTION + math.ceil(max(0, count - 1) / 2) * (_small_side() + GAP)


def _draw_query(sheet: Image.Image, draw: ImageDraw.ImageDraw, tiles: Sequence[Tile], top: int) -> None:
    """The first picture large, the others in pairs below."""
    for number, tile in enumerate(tiles):
        if number == 0:
            _draw_tile(sheet, draw, tile, MARGIN, top, QUERY_SIDE)
            continue
        row, column = divmod(number - 1, 2)
        step = _small_side() + GAP
        _draw_tile(sheet, draw, tile, MARGIN + column * step, top + QUERY_SIDE + CAPTION + row * step, _small_side())


def _draw_tile(sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, x: int, y: int, side: int) -> None:
    draw.rectangle([x, y, x + side - 1, y + side - 1], GROUND)
    if tile.picture is None:
        draw.text((x + side // 2, y + side // 2), _fitted(tile.missing, side, 15), QUIET, _font(15), anchor="mm")
    else:
        small = ImageOps.contain(tile.picture, (side, side), Image.Resampling.LANCZOS)
        sheet.paste(small, (x + (side - small.width) // 2, y + (side - small.height) // 2))
    if tile.frame is not None:
        draw.rectangle([x, y, x + side - 1, y + side - 1], outline=tile.frame, width=FRAME)
    draw.text((x, y + side + 6), _fitted(tile.strong, side, 18), INK, _font(18))
    draw.text((x, y + side + 29), _fitted(tile.quiet, side, 15), QUIET, _font(15))


def _fitted(text: str, width: int, size: int) -> str:
    """As much of the text as ``width`` pixels hold."""
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
