"""JPEG, PNG and GIF: the parts of a file that make its first picture, and nothing else.

Metadata is left out before Pillow sees the file, because Pillow reads all of it on opening: text and colour
profiles that inflate to many times their size, EXIF whose tags overlap, comments gathered in quadratic time, and
a Python warning for each oddity. What remains decodes to the same pixels. The one tag that matters, the
orientation, is read here.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field

from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from visualsearch.conf import conf
from visualsearch.exceptions import FormatNotAllowed, TruncatedImage
from visualsearch.images.directory import exif_orientation
from visualsearch.images.limits import check_size

# An opener returns a Pillow image of which nothing is decoded yet, and its EXIF orientation.
Undecoded = tuple[Image.Image, int]

_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}
# Each scan of a progressive JPEG crosses the whole picture, however few bytes it has. A real one has about ten.
_MAX_SCANS = 200
_MAX_SCANNED_PIXELS = 1_500_000_000
_MAX_SEGMENTS = 10_000  # of a JPEG, and extensions of a GIF: walked in Python, and a real file has a few hundred
_MAX_CHUNKS = 200_000  # of a PNG: 25 MB in chunks of 128 bytes
# Any number of \xff may stand before a marker's number; only the last is looked for: \xff+ squares the time.
_MARKER = re.compile(rb"\xff([^\xff])", re.DOTALL)
_SCAN_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")  # in coded pixels, not a stuffed byte or a restart


@dataclass
class _Frame:
    """What a JPEG's frame header (ISO/IEC 10918-1, B.2.2) says, and the segments that decoding needs."""

    kept: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    size: tuple[int, int] = (0, 0)
    components: int = 0
    progressive: bool = False
    orientation: int = 1
    scans_at: int = 0

    def add(self, marker: int, segment: bytes) -> None:
        """Takes in one segment, from its length on."""
        if marker == 0xE1 and segment[2:8] == b"Exif\x00\x00":
            if self.orientation == 1:
                self.orientation = exif_orientation(segment[2:])
            return
        if marker == 0xFE or (0xE1 <= marker <= 0xEF and marker != 0xEE):
            return  # comments and application segments; APP0 and APP14 tell how colours are coded
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if segment[2] != 8:
                raise FormatNotAllowed(f"JPEG files of {segment[2]} bits a channel are not accepted, only 8.")
            self.size = int.from_bytes(segment[5:7], "big"), int.from_bytes(segment[3:5], "big")
            self.components = segment[7]
            self.progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
        self.kept += (bytes([0xFF, marker]), segment)


def _frame(data: bytes) -> _Frame:
    """Walks a JPEG up to its first scan. Raises TruncatedImage where it ends before, FormatNotAllowed for 12 bits."""
    frame, at = _Frame(), 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if not found or found[1] == b"\xd9":
            break
        marker, at = found[1][0], found.end()
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # has no length
            continue
        start, at = at, at + max(2, int.from_bytes(data[at : at + 2], "big"))
        if at > len(data):
            break
        if marker == 0xDA:
            frame.scans_at = start
            return frame
        frame.add(marker, data[start:at])
    raise TruncatedImage("The JPEG file ends before its pixels, or has too many segments.")


def _count_scans(data: bytes, at: int) -> int:
    """Scans from the first one's header to the end of the picture, counted no further than ``_MAX_SCANS`` + 1."""
    scans = 1
    for _ in range(_MAX_SEGMENTS):
        found = _SCAN_MARKER.search(data, at + int.from_bytes(data[at : at + 2], "big"))
        if not found or found[1] == b"\xd9" or scans > _MAX_SCANS:
            return scans
        scans += found[1] == b"\xda"
        at = found.end()
    return _MAX_SCANS + 1


def open_jpeg(data: bytes) -> Undecoded:
    """A JPEG, or the first picture of an MPO. At most ``MAX_JPEG_PIXELS``: it is decoded at a reduced scale.

    A progressive JPEG may have no more than ``MAX_PIXELS``, because libjpeg keeps all of its coefficients,
    2 bytes each, whatever the scale.
    """
    frame = _frame(data)
    buffered = frame.progressive or data[frame.scans_at + 2] < frame.components
    if buffered:
        check_size(
            frame.size,
            limit=min(conf.MAX_PIXELS, conf.MAX_JPEG_PIXELS),
            what="progressive JPEGs",
            bytes_a_pixel=2 * frame.components,  # all coefficients
        )
        scans = _count_scans(data, frame.scans_at)
        if scans > _MAX_SCANS or scans * frame.size[0] * frame.size[1] > _MAX_SCANNED_PIXELS:
            raise TruncatedImage(f"The progressive JPEG has {scans} scans, more than its size allows to decode.")
    else:
        check_size(frame.size, limit=conf.MAX_JPEG_PIXELS, what="JPEGs", bytes_a_pixel=0)  # at a reduced scale
    stream = b"".join([*frame.kept, b"\xff\xda", memoryview(data)[frame.scans_at :]])
    return JpegImageFile(io.BytesIO(stream)), frame.orientation


def open_png(data: bytes) -> Undecoded:
    """A PNG; of an animated one the default picture."""
    kept: list[bytes | memoryview] = [data[:8]]
    view, at, orientation = memoryview(data), 8, 1
    chunks = 0
    while at + 8 <= len(data):
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise TruncatedImage(f"The PNG file has more than {_MAX_CHUNKS} chunks.")
        name, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if name == b"eXIf":
            orientation = exif_orientation(data[at + 8 : end - 4])
        elif name in _PNG_KEPT:
            kept.append(view[at:end])
        elif name == b"IEND":
            break
        at = end
    kept.append(b"\x00\x00\x00\x00IEND\xaeB`\x82")
    image = PngImageFile(io.BytesIO(b"".join(kept)))
    check_size(image.size)
    return image, orientation


def _skip_blocks(data: bytes, at: int) -> int:
    """The position after a chain of GIF sub-blocks, each with its length in front; 0 ends the chain."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def open_gif(data: bytes) -> Undecoded:
    """The first frame of a GIF. The rest of the file is not looked at."""
    at = 13 + _palette_bytes(data[10])
    head, control = data[:at], b""
    extensions = 0
    while data[at] == 0x21 and extensions < _MAX_SEGMENTS:  # an extension: its label, then sub-blocks
        extensions += 1
        end = _skip_blocks(data, at + 2)
        if data[at + 1] == 0xF9:  # graphic control: the transparent colour
            control = data[at:end]
        at = end
    if data[at] != 0x2C:
        raise TruncatedImage("The GIF file has no picture, or too much before it.")
    width, height = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    left, top, columns, rows = (int.from_bytes(data[at + i : at + i + 2], "little") for i in (1, 3, 5, 7))
    check_size((max(width, left + columns), max(height, top + rows)))
    end = _skip_blocks(data, at + 11 + _palette_bytes(data[at + 9]))
    return GifImageFile(io.BytesIO(head + control + data[at:end] + b";")), 1
