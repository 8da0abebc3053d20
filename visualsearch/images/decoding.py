"""From bytes to an upright RGB picture, or to a refusal that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from visualsearch.conf import conf
from visualsearch.exceptions import ImageRefused, TooManyPixels, TruncatedImage
from visualsearch.images import avif, containers, streams, tiff
from visualsearch.images.colour import reduced_rgb
from visualsearch.images.formats import identify
from visualsearch.images.limits import check_pixels, room
from visualsearch.images.reading import Readable, check_length, read_limited
from visualsearch.images.streams import Undecoded

OPENERS: dict[str, Callable[[bytes], Undecoded]] = {
    "JPEG": streams.open_jpeg,
    "PNG": streams.open_png,
    "GIF": streams.open_gif,
    "TIFF": tiff.open_tiff,
    "WEBP": containers.open_webp,
    "AVIF": avif.open_avif,
    "HEIF": containers.open_heif,
    "BMP": containers.open_bmp,
}

# Large pictures are reduced to no less than this many times ``side``. At 2 the embedding of a reduced picture has a
# cosine of 0.998 or more with that of the whole one, at 1 of 0.97 (measured with mobilenet_v2, docs/images.md), and at
# 3 the encoder's own resize takes longer than was saved. Pillow's thumbnails use 2 as well (``reducing_gap``).
OVERSAMPLING = 2

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = range(5, 9)
Made = TypeVar("Made")


def _draft(image: JpegImageFile, side: int) -> None:
    """Asks libjpeg for a scale of 1, 1/2, 1/4 or 1/8 at which both sides stay large enough."""
    wanted = side * OVERSAMPLING
    if image.width * image.height > conf.MAX_PIXELS and min(image.size) < 2 * wanted:
        wanted = side  # long and narrow: better a little less sharp than refused
    image.draft(None, (wanted, wanted))


def _decoded(data: bytes, name: str, side: int) -> Image.Image:
    """The picture in RGB, reduced, upright. Raises whatever the decoders raise."""
    image, orientation = OPENERS[name](data)
    if isinstance(image, JpegImageFile):
        _draft(image, side)
        check_pixels(image.size)
    image.load()
    rgb = reduced_rgb(image, min(image.size) // (side * OVERSAMPLING))
    if orientation in _TURNS:
        rgb = rgb.transpose(_TURNS[orientation])
    elif rgb is image and not isinstance(image, JpegImageFile):
        rgb = image.copy()  # leaves the file's bytes and the decoder's memory behind
    rgb.info = {}
    return rgb


def open_image(
    source: bytes | bytearray | memoryview | Readable, *, side: int = 224, max_bytes: int | None = None
) -> Image.Image:
    """An upright picture in mode RGB, from the bytes of an image file or from an open binary file.

    Both sides are at least ``side`` pixels, unless the original's are fewer; a larger picture comes back
    reduced, by a whole factor, to between two and four times ``side`` on its shorter side. Ask for a larger
    ``side`` to crop from the result. Files are read from the start, at most ``max_bytes`` (``MAX_BYTES`` of the
    settings) of them.

    Raises a subclass of ImageRefused, whatever the bytes are: NotAnImage, TruncatedImage, FileTooLarge,
    TooManyPixels, ImageTooSmall, FormatNotAllowed. Only what ``source.read`` raises passes through. Changes none
    of Pillow's global settings; safe to call from several threads.
    """
    if side < 1:
        raise ValueError(f"side must be at least 1 pixel, not {side}.")
    limit = conf.MAX_BYTES if max_bytes is None else max_bytes
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        check_length(len(data), limit)
    else:
        data = read_limited(source, limit)
    name = identify(data)
    return _refusing(data, name, lambda: _decoded(data, name, side))


def upright_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, upright, of the picture that ``open_image`` would make, were it not reduced.

    Reads headers alone, of all formats but HEIF. Django's ``get_image_dimensions`` reads all metadata, and raises
    where that is too much. Raises subclasses of ImageRefused.
    """
    name = identify(data)

    def measured() -> tuple[int, int]:
        image, orientation = OPENERS[name](data)
        return (image.height, image.width) if orientation in _QUARTER_TURNS else image.size

    return _refusing(data, name, measured)


def _refusing(data: bytes, name: str, make: Callable[[], Made]) -> Made:
    """What ``make`` makes of a file of this format. Raises subclasses of ImageRefused, whatever happens."""
    try:
        with room.entered():
            return make()
    except ImageRefused:
        raise
    except MemoryError as exc:
        raise TooManyPixels(f"There is not enough memory to decode this {name} image.") from exc
    except Exception as exc:
        raise TruncatedImage(
            f"The {name} file is incomplete or damaged: its {len(data)} bytes cannot be decoded as a picture."
        ) from exc
