"""AVIF: the still picture, once its coded size has been checked, too.

The decoder takes memory for the size that the AV1 stream names, up to 16384 x 16384 and 1.6 GB, and compares it with
the size that the file's properties name only afterwards: a file of a kilobyte may lie about it. So the streams'
sequence headers are read first. Layouts: ISO/IEC 14496-12 (boxes), AV1 specification 5.3 to 5.5 (OBUs).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

from PIL.AvifImagePlugin import AvifImageFile

from visualsearch.images.directory import exif_orientation
from visualsearch.images.limits import check_pixels, check_size
from visualsearch.images.streams import Undecoded

_MAX_OBUS = 200  # in one item; a still picture has two or three
_MAX_BOXES = 5000  # side by side, and items, and their extents; a picture of 512 tiles has some hundred
_SEQUENCE_HEADER = 1
_BYTES_A_PIXEL = 9  # that libavif and Pillow take, measured


class _Reader:
    """Big-endian integers of any number of bits, one after the other. Raises ValueError at the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def bits(self, count: int) -> int:
        first, self.at = self.at, self.at + count
        if self.at > 8 * len(self.data):
            raise ValueError("the header is cut off")
        value = int.from_bytes(self.data[first // 8 : -(-self.at // 8)], "big")
        return value >> -self.at % 8 & ((1 << count) - 1)

    def bytes(self, count: int) -> int:
        return self.bits(8 * count)

    def uvlc(self) -> None:
        zeros = 0
        while zeros < 32 and not self.bits(1):
            zeros += 1
        self.bits(zeros if zeros < 32 else 0)


class _Box(NamedTuple):
    """A box: its type, where it begins, and where its content begins and ends."""

    name: bytes
    at: int
    start: int
    stop: int


def _boxes(data: bytes, at: int, end: int) -> Iterator[_Box]:
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        length, start = int.from_bytes(data[at : at + 4], "big"), at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        stop = min(at + length, end) if length else end
        if stop < start:
            raise ValueError("a box is shorter than its own header")
        yield _Box(data[at + 4 : at + 8], at, start, stop)
        at = stop
    raise ValueError("too many boxes")


def _coded_items(data: bytes, at: int, end: int) -> set[int]:
    """Numbers of the items that hold AV1 streams, from the content of an ``iinf`` box."""
    found = set()
    for box in _boxes(data, at + (6 if data[at] == 0 else 8), end):
        first, wide = box.start + 4, 4 if data[box.start] == 3 else 2
        if box.name == b"infe" and data[first + wide + 2 : first + wide + 6] == b"av01":
            found.add(int.from_bytes(data[first : first + wide], "big"))
    return found


def _places(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Number, construction method and extents (offset, length) of each item, from an ``iloc`` box's content."""
    read = _Reader(data[at:end])
    version = read.bits(8)
    read.bits(24)
    offset, length, base, index = (read.bits(4) for _ in range(4))
    budget = _MAX_BOXES
    for _ in range(read.bytes(4 if version == 2 else 2)):
        item = read.bytes(4 if version == 2 else 2)
        method = read.bytes(2) & 15 if version else 0
        read.bytes(2)  # the number of the file: this one
        origin = read.bytes(base)
        extents: list[tuple[int, int]] = []
        budget -= 1 + (count := read.bytes(2))
        if budget < 0:  # fields of no bits at all make extents that cost the file nothing
            raise ValueError("too many items or extents")
        for _ in range(count):
            read.bytes(index if version else 0)
            extents.append((origin + read.bytes(offset), read.bytes(length)))
        yield item, method, extents


def _leb128(stream: bytes, at: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, the low ones first, and the position after it."""
    value = 0
    for place in range(8):
        value |= (stream[at + place] & 127) << 7 * place
        if stream[at + place] < 128:
            return value, at + place + 1
    raise ValueError("a length has too many bytes")


def _sequence_sizes(stream: bytes) -> Iterator[tuple[int, int]]:
    """Width and height of every sequence header in an AV1 stream."""
    at = 0
    for _ in range(_MAX_OBUS):
        if at >= len(stream):
            return
        header = stream[at]
        at += 2 if header & 4 else 1  # an extension follows
        length = len(stream) - at
        if header & 2:
            length, at = _leb128(stream, at)
        if header >> 3 & 15 == _SEQUENCE_HEADER:
            yield _sequence_size(_Reader(stream[at : at + min(length, 1024)]))
        at += length
    raise ValueError("too many units in an AV1 stream")


def _sequence_size(read: _Reader) -> tuple[int, int]:
    """Width and height that an AV1 sequence header allows at most."""
    read.bits(4)  # profile, still picture
    if read.bits(1):  # reduced header
        read.bits(5)
    else:
        _skip_operating_points(read)
    width_bits, height_bits = read.bits(4) + 1, read.bits(4) + 1
    return read.bits(width_bits) + 1, read.bits(height_bits) + 1


def _skip_operating_points(read: _Reader) -> None:
    delay_bits = 0
    if read.bits(1):  # timing
        read.bits(64)
        if read.bits(1):
            read.uvlc()
        if read.bits(1):  # decoder model
            delay_bits = read.bits(5) + 1
            read.bits(42)
    display_delay = read.bits(1)
    for _ in range(read.bits(5) + 1):
        read.bits(12)
        if read.bits(5) > 7:
            read.bits(1)
        if delay_bits and read.bits(1):
            read.bits(2 * delay_bits + 1)
        if display_delay and read.bits(1):
            read.bits(4)


def _check_coded_sizes(data: bytes, at: int, end: int) -> None:
    """Raises TooManyPixels where a stream in the file, whose ``meta`` box lies there, is larger than allowed."""
    boxes = {box.name: (box.start, box.stop) for box in _boxes(data, at + 4, end)}
    coded = _coded_items(data, *boxes[b"iinf"])
    budget = len(data)
    for item, method, extents in _places(data, *boxes[b"iloc"]):
        if item not in coded:
            continue
        origin, stop = (0, len(data)) if method == 0 else boxes[b"idat"]
        parts = []
        for first, length in extents:
            last = min(stop, origin + first + length) if length else stop
            parts.append(data[origin + first : last])
            budget -= len(parts[-1])
            if budget < 0:
                raise ValueError("items overlap")
        for size in _sequence_sizes(b"".join(parts)):
            check_pixels(size, what="AVIF images", bytes_a_pixel=_BYTES_A_PIXEL)


def open_avif(data: bytes) -> Undecoded:
    """The still picture of an AVIF; of an animated one the picture that stands for it, as a rule the first frame.

    The copy given to Pillow has no EXIF: Pillow would parse it, and warn where it is damaged. The AVIF specification
    has pictures turned by properties, not by EXIF; Pillow reports those as an orientation of its own making.
    """
    still = bytearray(data)
    for box in _boxes(data, 0, len(data)):
        if box.name == b"ftyp":
            still[box.start : box.start + 4] = b"avif"  # not "avis", the film
        elif box.name == b"meta":
            _check_coded_sizes(data, box.start, box.stop)
            still[box.start : box.stop] = data[box.start : box.stop].replace(b"Exif", b"skip")
    image = AvifImageFile(io.BytesIO(bytes(still)))
    check_size(image.size, what="AVIF images", bytes_a_pixel=_BYTES_A_PIXEL)
    return image, exif_orientation(image.info.get("exif", b""))
