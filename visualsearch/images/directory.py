"""TIFF's directory of tags, which EXIF uses as well: read strictly, without warnings, only the tags asked for."""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass

BYTE_ORDERS = {b"II": "<", b"MM": ">"}
# Bytes of one value, by field type: TIFF 6.0 (page 15) and, from 16 on, BigTIFF.
VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
VALUE_BYTES |= {16: 8, 17: 8, 18: 8}
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
ORIENTATION = 274


@dataclass(frozen=True)
class Entry:
    """One tag: its field type, number of values, and the values as they lie in the file."""

    kind: int
    count: int
    raw: bytes

    def integers(self, order: str) -> tuple[int, ...]:
        """The values. Raises ValueError for a field type that holds no unsigned integers."""
        if self.kind not in INTEGERS:
            raise ValueError(f"field type {self.kind} where unsigned integers are expected")
        return struct.unpack(f"{order}{self.count}{INTEGERS[self.kind]}", self.raw)


@dataclass(frozen=True)
class Directory:
    """The first directory of a TIFF structure. ``order`` is its byte order as ``struct`` writes it."""

    order: str
    entries: dict[int, Entry]

    def integer(self, tag: int, default: int | None = None) -> int:
        """The first value of a tag. Raises ValueError where it is absent and there is no default."""
        values = self.entries[tag].integers(self.order) if tag in self.entries else ()
        if values:
            return values[0]
        if default is None:
            raise ValueError(f"tag {tag} is missing")
        return default


def read_directory(data: bytes, wanted: Container[int]) -> Directory:
    """The wanted tags of the first directory. Raises ValueError or struct.error where it is damaged.

    All values together may be no longer than the file: a directory whose tags all point at the same
    bytes would otherwise cost far more memory than the file.
    """
    order = BYTE_ORDERS.get(data[:2], "")
    version = data[2:4] if order == ">" else data[3:1:-1]
    if not order or version not in (b"\x00\x2a", b"\x00\x2b"):
        raise ValueError("not a TIFF structure")
    big = version == b"\x00\x2b"
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    number, layout = ("Q", "HHQ8s") if big else ("H", "HHI4s")
    if start > len(data):
        raise ValueError("the directory lies outside the file")
    (length,) = struct.unpack_from(order + number, data, start)
    start += struct.calcsize(number)
    table = data[start : start + length * struct.calcsize(order + layout)]
    if len(table) < length * struct.calcsize(order + layout):
        raise ValueError("the directory is cut off")
    entries: dict[int, Entry] = {}
    budget = len(data)
    for tag, kind, count, field in struct.iter_unpack(order + layout, table):
        if tag not in wanted or tag in entries or kind not in VALUE_BYTES or not count:
            continue
        size = count * VALUE_BYTES[kind]
        budget -= size
        if budget < 0:
            raise ValueError("the tags are longer than the file")
        raw = field[:size] if size <= len(field) else _far(data, order, field, size)
        entries[tag] = Entry(kind, count, raw)
    return Directory(order, entries)


def _far(data: bytes, order: str, field: bytes, size: int) -> bytes:
    """A value that lies elsewhere in the file, at the offset that the field holds."""
    (offset,) = struct.unpack(order + ("Q" if len(field) == 8 else "I"), field)
    raw = data[offset : offset + size]
    if len(raw) < size:
        raise ValueError("a tag's values are cut off")
    return raw


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8 (EXIF 2.32, tag 274), of an EXIF block with or without its ``Exif`` prefix.

    1, upright, where the block is damaged or does not say: a picture is not refused for its metadata.
    """
    try:
        directory = read_directory(exif.removeprefix(b"Exif\x00\x00"), {ORIENTATION})
        value = directory.integer(ORIENTATION, default=1)
    except (ValueError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1
