"""Pictures of the right size for a page. The setting THUMBNAIL names the function that makes them.

Such a function takes an image field's file and a side in CSS pixels and returns a Thumbnail. Where there is no
picture to show it raises ThumbnailError; a page then shows none.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from django.apps import apps
from django.core.files.images import get_image_dimensions
from django.db import router, transaction
from PIL import Image, UnidentifiedImageError

from visualsearch.conf import conf
from visualsearch.exceptions import MissingExtra, VisualSearchError
from visualsearch.images import open_image

WAITS = (0.05, 0.1, 0.2)  # seconds, for a thumbnail that is being written


class ThumbnailError(VisualSearchError):
    """There is no picture to show."""

    code = "thumbnail_error"


class Thumbnail(NamedTuple):
    """Where a picture is, and the room it takes in CSS pixels: neither ``width`` nor ``height`` exceeds the side."""

    url: str
    width: int
    height: int


def thumbnail(file: Any, side: int) -> Thumbnail:
    """At most ``side`` x ``side`` pixels, made by the function in the settings. Raises ThumbnailError."""
    if not file:
        raise ThumbnailError("There is no picture: the image field is empty.")
    made: Thumbnail = conf.load("THUMBNAIL")(file, side)
    return made


def original(file: Any, side: int) -> Thumbnail:
    """The file as it is, with the size at which it fits the side. Needs no library and makes no file.

    The size is read from the model's width and height fields where the image field has them, else from the file.
    Raises ThumbnailError.
    """
    try:
        width, height = _known_size(file) or get_image_dimensions(file)
        url = file.url
    except Exception as fault:  # a storage may raise anything: its library's own errors, sockets, time-outs
        raise ThumbnailError(f"{file}: {type(fault).__name__}: {fault}") from fault
    if not (width and height):
        raise ThumbnailError(f"{file}: the file is not a picture.")
    scale = min(1.0, side / max(width, height))
    return Thumbnail(url, max(1, round(width * scale)), max(1, round(height * scale)))


def easy_thumbnails(file: Any, side: int) -> Thumbnail:
    """A smaller copy made by easy-thumbnails on first use. Raises ThumbnailError, or MissingExtra.

    Where files are on this machine a picture that was made before costs no query. On other storages easy-thumbnails
    asks the database for each; its THUMBNAIL_CACHE_DIMENSIONS then spares reading the files.
    """
    try:
        from easy_thumbnails.files import get_thumbnailer
        from easy_thumbnails.utils import is_storage_local
    except ImportError as error:
        raise MissingExtra("easy-thumbnails", "thumbnails") from error
    except RuntimeError as error:  # its models, imported without the app
        raise ThumbnailError("Add easy_thumbnails to INSTALLED_APPS.") from error
    thumbnailer = get_thumbnailer(file)
    thumbnailer.source_generators = [_source]
    local = is_storage_local(thumbnailer.source_storage) and is_storage_local(thumbnailer.thumbnail_storage)
    try:
        made = _made(thumbnailer, {"size": (side, side)}, local)
        width, height = _header_size(made) if local else (made.width, made.height)
        return Thumbnail(made.url, width, height)
    except Exception as fault:  # as above; and easy-thumbnails passes on what its own storage and tables raise
        raise ThumbnailError(f"{file}: {type(fault).__name__}: {fault}") from fault


def _made(thumbnailer: Any, options: dict[str, Any], local: bool) -> Any:
    if local and (existing := thumbnailer.get_existing_thumbnail(options)):
        return existing
    # Its tables may be missing: that must not spoil the transaction of the page.
    with transaction.atomic(using=router.db_for_write(apps.get_model("easy_thumbnails", "Thumbnail"))):
        return thumbnailer.get_thumbnail(options)


def _source(file: Any, size: tuple[int, int], **options: Any) -> Image.Image:
    """easy-thumbnails' way to a picture, through our own door.

    Its own switches Pillow's LOAD_TRUNCATED_IMAGES for the whole process while it works, so that another thread would
    accept a damaged photo; and it decodes large photos whole.
    """
    return open_image(file, side=max(size))


def _header_size(made: Any) -> tuple[int, int]:
    """The size in the thumbnail's first bytes. Another request may be writing the file at this very moment."""
    for seconds in WAITS:
        try:
            with made.storage.open(made.name) as file, Image.open(file) as image:
                return image.size
        except UnidentifiedImageError:
            time.sleep(seconds)
    with made.storage.open(made.name) as file, Image.open(file) as image:
        return image.size


def _known_size(file: Any) -> tuple[int, int] | None:
    field, instance = getattr(file, "field", None), getattr(file, "instance", None)
    names = [getattr(field, name, None) for name in ("width_field", "height_field")]
    width, height = (getattr(instance, name, None) if name else None for name in names)
    return (width, height) if width and height else None
