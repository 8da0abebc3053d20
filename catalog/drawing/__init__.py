"""Draws the demo shop's goods with Pillow alone: the same picture, byte for byte, every time."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from catalog.drawing.canvas import Canvas
from catalog.drawing.grounds import compose, ground
from catalog.drawing.kinds import KINDS
from catalog.drawing.look import Kind, Look, View

SIZE = 640  # pixels, both sides
QUALITY = 86  # of the JPEG


def sheet(kind: str, look: Look, view: View, size: int = SIZE) -> Canvas:
    """The product alone, without ground and shadow."""
    goods = KINDS[kind]
    canvas = Canvas(size, lambda point: view.place(point, goods.near), view.tilt)
    goods.draw(canvas, look)
    return canvas


def picture(kind: str, look: Look, view: int, size: int = SIZE) -> Image.Image:
    """An RGB picture of a product, ``size`` pixels square; ``view`` is an index into the kind's views."""
    goods = KINDS[kind]
    chosen = goods.views[view]
    image = compose(sheet(kind, look, chosen, size), ground(chosen.ground, size, goods.horizon), goods.base)
    return ImageOps.mirror(image) if chosen.mirror else image


def jpeg(kind: str, look: Look, view: int) -> bytes:
    """``picture`` as a JPEG file's bytes."""
    file = io.BytesIO()
    picture(kind, look, view).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


__all__ = ["KINDS", "SIZE", "Kind", "Look", "View", "jpeg", "picture", "sheet"]
