"""TIFF: the first page's pixels, behind a directory that we write anew.

Pillow and libtiff each read every tag of the file; the tags that say how pixels lie are kept, checked and cut to
the length that the picture's size asks for, and all others are left out. That removes overlapping and endless
tags, chains of directories and metadata, and with them Pillow's warnings and libtiff's messages.
"""

from __future__ import annotations

import ctypes
import io
import struct
from contextlib import suppress
from functools import cache

from PIL import _imaging
from PIL.TiffImagePlugin import TiffImageFile

from visualsearch.exceptions import FormatNotAllowed, TooManyPixels, TruncatedImage
from visualsearch.images.directory import ORIENTATION, Directory, Entry, read_directory
from visualsearch.images.limits import check_size
from visualsearch.images.streams import Undecoded

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES = 256, 257, 258, 259, 262, 277
STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 278, 279, 284
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
FILL_ORDER, T4_OPTIONS, T6_OPTIONS, PREDICTOR, COLOR_MAP = 266, 292, 293, 317, 320
EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES = 338, 339, 347
YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, YCBCR_POSITIONING, REFERENCE_BLACK_WHITE = 529, 530, 531, 532

SINGLE = {
    *(WIDTH, LENGTH, COMPRESSION, PHOTOMETRIC, SAMPLES, ROWS_PER_STRIP, PLANAR, TILE_WIDTH, TILE_LENGTH),
    *(FILL_ORDER, T4_OPTIONS, T6_OPTIONS, PREDICTOR, YCBCR_POSITIONING),
}
SEVERAL = {
    *(BITS, STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES, COLOR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT),
    *(JPEG_TABLES, YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE),
}
# None, CCITT (2 to 4), LZW, JPEG (not 6, its withdrawn form), Deflate (two numbers), PackBits, ZSTD. Not LZMA, whose
# streams name the memory to take, nor WebP, which Pillow's builds of libtiff lack.
COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32946, 32773, 50000}
MAX_SAMPLES = 6  # CMYK and two extra channels, the most that Pillow reads
MAX_PIECES = 65_536  # strips or tiles, each of which Pillow goes through in Python
MAX_SMALL_TILE = 4_194_304  # pixels of a tile that a picture of any size may have: 2048 x 2048
_LONG, _LONG8 = 4, (16, 18)


def _pieces(tags: Directory, size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """How many strips or tiles a picture of this size has, and the tags of their offsets and lengths."""
    planes = tags.integer(SAMPLES, 1) if tags.integer(PLANAR, 1) == 2 else 1
    if TILE_OFFSETS in tags.entries and STRIP_OFFSETS not in tags.entries:
        width, length = tags.integer(TILE_WIDTH), tags.integer(TILE_LENGTH)
        names = TILE_OFFSETS, TILE_BYTES
    else:
        width, length = size[0], min(tags.integer(ROWS_PER_STRIP, size[1]), size[1])
        names = STRIP_OFFSETS, STRIP_BYTES
    if not width or not length:
        raise TruncatedImage("The TIFF file is damaged: its strips or tiles have no size.")
    if width * length > max(MAX_SMALL_TILE, 4 * size[0] * size[1]):  # decoded whole, however little of it shows
        raise TooManyPixels(
            f"The TIFF file has tiles of {width} x {length} pixels for a picture of {size[0]} x {size[1]}."
        )
    return -(-size[0] // width) * -(-size[1] // length) * planes, names


def _checked(tags: Directory) -> dict[int, Entry]:
    """The entries to keep. Raises ImageRefused, ValueError or struct.error where it cannot be decoded."""
    size = tags.integer(WIDTH), tags.integer(LENGTH)
    check_size(size)
    compression = tags.integer(COMPRESSION, 1)
    if compression not in COMPRESSIONS:
        raise FormatNotAllowed(
            f"TIFF files of compression {compression} are not accepted. Accepted: none, CCITT, LZW, JPEG, Deflate, "
            "PackBits, ZSTD."
        )
    if not 1 <= tags.integer(SAMPLES, 1) <= MAX_SAMPLES:
        raise FormatNotAllowed(f"TIFF files with {tags.integer(SAMPLES)} channels are not accepted.")
    count, names = _pieces(tags, size)
    if count > MAX_PIECES:
        raise FormatNotAllowed(f"TIFF files of {count} strips or tiles are not accepted, only of up to {MAX_PIECES}.")
    if names[0] not in tags.entries:
        raise TruncatedImage("The TIFF file is damaged: it does not say where its pixels are.")
    kept = {}
    for tag, entry in tags.entries.items():
        if tag in SINGLE:
            tags.integer(tag)
            entry = _shortened(entry, 1)
        elif tag in names:
            if entry.count < count:
                raise TruncatedImage(f"The TIFF file names {entry.count} of its {count} strips or tiles.")
            entry = _shortened(entry, count)
        if tag != ORIENTATION:
            kept[tag] = _classic(entry, tags.order)
    return kept


def _shortened(entry: Entry, count: int) -> Entry:
    return Entry(entry.kind, count, entry.raw[: len(entry.raw) // entry.count * count])


def _classic(entry: Entry, order: str) -> Entry:
    """The entry without BigTIFF's 64-bit integers: no accepted file is long enough to need them."""
    if entry.kind not in _LONG8:
        return entry
    return Entry(_LONG, entry.count, struct.pack(f"{order}{entry.count}I", *entry.integers(order)))


def _rewritten(data: bytes, order: str, entries: dict[int, Entry]) -> bytes:
    """The file with a classic directory of these entries at its end, the only one its header leads to."""
    start = len(data) + len(data) % 2
    far_at = start + 2 + 12 * len(entries) + 4
    table, far = [struct.pack(order + "H", len(entries))], []
    for tag, entry in sorted(entries.items()):
        field = entry.raw.ljust(4, b"\0")
        if len(field) > 4:
            far.append(field.ljust(len(field) + len(field) % 2, b"\0"))
            field, far_at = struct.pack(order + "I", far_at), far_at + len(far[-1])
        table.append(struct.pack(order + "HHI", tag, entry.kind, entry.count) + field)
    header = struct.pack(order + "2sHI", data[:2], 42, start)
    padding = b"\0" * (start - len(data))
    return b"".join([header, memoryview(data)[8:], padding, *table, b"\0" * 4, *far])


@cache
def _silence_libtiff() -> None:
    """Stops libtiff from writing a line to the process's standard error for each damaged file.

    Pillow raises for each of them anyway, but has no setting for this, and the handler is libtiff's own and the same
    for all threads. Where libtiff is linked so that its symbols are hidden (Windows), the lines stay.
    """
    with suppress(OSError, AttributeError):
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)


def open_tiff(data: bytes) -> Undecoded:
    """The first page of a TIFF or BigTIFF."""
    _silence_libtiff()
    tags = read_directory(data, SINGLE | SEVERAL | {ORIENTATION})
    entries = _checked(tags)
    orientation = tags.integer(ORIENTATION, 1)
    image = TiffImageFile(io.BytesIO(_rewritten(data, tags.order, entries)))
    check_size(image.size)
    return image, orientation
