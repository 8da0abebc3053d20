"""What visualsearch_index draws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from PIL import Image

from visualsearch.lifecycle import Changed, Verification
from visualsearch.lifecycle.verifying import images_of
from visualsearch.montage import Row, Tile, read, rows_montage
from visualsearch.sources import ImageSource

NEW = (31, 95, 191)  # frame of a result that the other version does not have


def sheet(source: ImageSource, found: Verification) -> Image.Image:
    """The queries whose results change most: for each a row of the active version's and one of the new one's. What only
    one of them finds is framed."""
    keys = {key for change in found.changed for key in (change.query, *change.before, *change.after)}
    images = images_of(source, sorted(keys))
    rows = [row for change in found.changed for row in _rows(source, images, change, found)]
    return rows_montage(rows, f"{source}: version {found.version} against {found.active}" if rows else "No change")


def _rows(source: ImageSource, images: dict[str, Any], change: Changed, found: Verification) -> list[Row]:
    query = _tile(source, images.get(change.query), quiet=f"{change.overlap:.0%} the same")
    return [
        Row(query, _tiles(source, images, change.before, change.after), heading=f"Active version {found.active}"),
        Row(query, _tiles(source, images, change.after, change.before), heading=f"Version {found.version}"),
    ]


def _tiles(source: ImageSource, images: dict[str, Any], own: Sequence[str], others: Sequence[str]) -> list[Tile]:
    return [_tile(source, images.get(key), frame=None if key in others else NEW) for key in own]


def _tile(source: ImageSource, image: Any, **options: Any) -> Tile:
    if image is None:
        return Tile(None, missing="gone", **options)
    file = source.file_of(image)
    picture, missing = read(partial(file.storage.open, file.name or "", "rb"))
    return Tile(picture, str(source.product_of(image)), missing=missing, **options)
