"""The customer's photo as it is shown beside what it found: a small copy, which goes to the browser and back.

The server keeps nothing of it. Without scripts the next request has to bring along what the page is to show again: the
copy, and the things that were found in the photo. Both are signed, so that a page shows nothing that was not made here.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.core import signing

from visualsearch.images import open_image
from visualsearch.presentation import Picture
from visualsearch.search import Results
from visualsearch.search.boxes import Box

SIDE = 480  # pixels of the longer side
SALT = "visualsearch.preview"
SAME = 0.6  # intersection over union of two boxes of the same thing


@dataclass(frozen=True)
class Thing:
    """A part of the photo that can be searched with by itself. ``box``: x, y, width, height in pixels of the copy."""

    box: tuple[float, float, float, float]
    label: str
    query: str
    chosen: bool = False


@dataclass(frozen=True)
class Preview:
    picture: Picture
    things: Sequence[Thing] = ()

    @property
    def signed(self) -> str:
        """For a hidden field."""
        return signing.dumps(asdict(self), salt=SALT, compress=True)

    def choosing(self, query: str) -> Preview:
        """The same, with the thing of this token as the chosen one."""
        chosen = [Thing(one.box, one.label, one.query, one.query == query) for one in self.things]
        return Preview(self.picture, chosen)


def preview_of(content: bytes) -> Preview:
    """Raises ImageRefused."""
    picture = open_image(content, side=SIDE)
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    width, height = picture.size
    return Preview(Picture(f"data:image/jpeg;base64,{encoded}", "", max(1, width // 2), max(1, height // 2)))


def with_things(preview: Preview, results: Results, names: Any) -> Preview:
    """With what was found in the photo: nothing where the photo is of one thing, the whole of it.

    ``names(guess)`` is the label of a thing, of its guesses by field. The part that the results are of is the chosen
    one; where it is none of the things, it is one more.
    """
    things = [
        Thing(
            _pixels(found.box, preview.picture),
            names(found.guess or {}),
            found.query,
            found.query == results.query,
        )
        for found in results.objects or ()
        if found.box and found.query and tuple(found.box) != (0, 0, 1, 1)
    ]
    if results.box and results.query and not any(thing.chosen for thing in things):
        box = _pixels(results.box, preview.picture)
        near = [thing for thing in things if _overlap(thing.box, box) > SAME]
        things = [thing for thing in things if thing not in near[:1]]
        label = near[0].label if near else ""
        things.insert(0, Thing(box, label, results.query, True))
    return Preview(preview.picture, things)


def read(signed: str) -> Preview | None:
    """What an earlier page signed; None for anything else."""
    try:
        held = signing.loads(signed, salt=SALT)
    except signing.BadSignature:
        return None
    things = [Thing(tuple(one["box"]), one["label"], one["query"], one["chosen"]) for one in held["things"]]
    return Preview(Picture(**held["picture"]), things)


def _pixels(box: Box, picture: Picture) -> tuple[float, float, float, float]:
    across, down = picture.width, picture.height
    return round(box.x * across, 1), round(box.y * down, 1), round(box.width * across, 1), round(box.height * down, 1)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
