"""What is drawn: a kind of goods, one look of it, and the views of which pictures are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from catalog.drawing.canvas import Canvas
from catalog.drawing.colour import Colour
from catalog.drawing.geometry import Point, scaled, turned


@dataclass(frozen=True)
class Look:
    """One product's appearance: a shape of its kind, a colour, a pattern and the pattern's two colours."""

    variant: str
    colour: Colour
    pattern: str
    accents: tuple[Colour, Colour]


@dataclass(frozen=True)
class View:
    """A photographer's choice: where we stand, how near, and on what ground."""

    ground: str = "studio"
    tilt: float = 0.2
    turn: float = 0.0  # degrees, clockwise
    wide: float = 1.0  # a foreshortened or stretched width
    zoom: float = 1.0
    shift: Point = (0.0, 0.0)
    mirror: bool = False

    def place(self, point: Point, near: float = 1.0) -> Point:
        """Where a point of the drawing lies in the picture. ``near`` is the kind's; a close-up is near already."""
        zoom = self.zoom * near if self.zoom <= 1 else self.zoom
        ((x, y),) = turned([point], self.turn, 50, 52)
        ((x, y),) = scaled([(x, y)], zoom * self.wide, zoom, 50, 52)
        return x + self.shift[0], y + self.shift[1]


FRONT = View()
STANDING = (
    FRONT,
    View("sand", tilt=0.32, mirror=True, wide=0.96),
    View("wood", tilt=0.26, zoom=0.9, shift=(2, 3)),
    View("mist", tilt=0.14, zoom=1.32, shift=(-3, 0.5), mirror=True),
    View("blush", tilt=0.24, zoom=0.86, shift=(-3, 4)),
)
LYING = (
    FRONT,
    View("mist", turn=-11, zoom=0.95),
    View("wood", turn=7, zoom=0.9),
    View("sand", turn=-4, zoom=1.45, shift=(3, 5)),
    View("sage", turn=14, zoom=0.86, mirror=True),
)


@dataclass(frozen=True)
class Kind:
    """A kind of goods and how to draw it."""

    name: str
    variants: tuple[str, ...]
    patterns: tuple[str, ...]
    draw: Callable[[Canvas, Look], None]
    base: float | None = 82.0  # y of the floor under it; None: it lies flat on the ground
    horizon: float | None = 62.0  # y where the floor ends; None: seen from straight above
    views: tuple[View, ...] = STANDING
    near: float = 1.0  # how far a small thing is enlarged to fill the picture
