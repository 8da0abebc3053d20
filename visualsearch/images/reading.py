"""Bytes of an image file, never more of them than allowed."""

from __future__ import annotations

import hashlib
from typing import Protocol, runtime_checkable

from visualsearch.conf import conf
from visualsearch.exceptions import FileTooLarge


class Readable(Protocol):
    """An open binary file: ``open(..., "rb")``, BytesIO, a Django File or UploadedFile."""

    def read(self, size: int = ..., /) -> bytes: ...


@runtime_checkable
class Seekable(Protocol):
    """A file that may or may not be able to go back to its start."""

    def seekable(self) -> bool: ...

    def seek(self, offset: int, /) -> object: ...


def content_hash(data: bytes) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def megabytes(count: int) -> str:
    """A number of bytes in megabytes (of 1024 x 1024 bytes), as people read it: 25 MB, 31.2 MB."""
    return f"{count / 1024**2:.1f}".removesuffix(".0") + " MB"


def check_length(length: int, limit: int) -> None:
    """Raises FileTooLarge where a file of ``length`` bytes exceeds ``limit`` bytes."""
    if length > limit:
        raise FileTooLarge(
            f"The file has {megabytes(length)} ({length} bytes); at most {megabytes(limit)} are accepted."
        )


def read_limited(file: Readable, limit: int | None = None) -> bytes:
    """The whole content of ``file``, from its start where it can seek.

    ``limit`` is in bytes, ``MAX_BYTES`` of the settings by default. Raises FileTooLarge after reading
    ``limit + 1`` bytes, whatever the file's length. What the file raises on reading (a storage fault) passes
    through unchanged: it says nothing about the image.
    """
    limit = conf.MAX_BYTES if limit is None else limit
    if isinstance(file, Seekable) and file.seekable():  # not a pipe or a socket, which is read from where it stands
        file.seek(0)
    parts: list[bytes] = []
    left = limit + 1
    while left > 0 and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    if left <= 0:
        raise FileTooLarge(f"The file is larger than {megabytes(limit)} ({limit} bytes).")
    return parts[0] if len(parts) == 1 else b"".join(parts)


class ShortRead(OSError):
    """A storage gave less than the whole file, and said nothing of it."""


def read_whole(file: Readable) -> bytes:
    """The same of a storage's file, which says its ``size`` in bytes where it knows it. Raises ShortRead as well."""
    content = read_limited(file)
    try:
        size = int(getattr(file, "size", None) or 0)
    except Exception:  # a storage may raise anything
        size = 0
    if len(content) < size:
        raise ShortRead(f"the storage gave {len(content)} of the file's {size} bytes")
    return content
