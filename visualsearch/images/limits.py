"""Sizes that are checked, and memory that is waited for, before anything is decoded."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from traceback import clear_frames

from visualsearch.conf import conf
from visualsearch.exceptions import ImageTooSmall, TooManyPixels

# Bytes for which all decoders of a process together have room, and so what one picture may take at most. Four threads
# that each get a kilobyte of AVIF that unfolds to 430 MB would otherwise take 1.7 GB.
ROOM = 320_000_000
UNCOUNTED = 16_000_000  # a picture of up to 4 megapixels waits for nobody
BYTES_A_PIXEL = 4  # of most decoders; measured, docs/images.md


class _Room:
    """Bytes that are given out to threads, in the order in which they ask."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._held = threading.local()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread decodes a picture; what ``take`` gave it is given back in the end."""
        self._held.count = 0
        try:
            yield
        except BaseException as exc:
            clear_frames(exc.__traceback__)  # they hold the picture for as long as somebody keeps the error
            raise
        finally:
            count, self._held.count = self._held.count, None
            if count:
                _trim()(0)  # before others are let in
                self._add(-count)

    def take(self, count: int) -> None:
        """Waits until there is room, if only for this one. Whoever has some already gets more at once."""
        held = getattr(self._held, "count", None)
        if held is None or count <= max(held, UNCOUNTED):
            return
        if held:
            self._add(count - held)
        else:
            with self._turn, self._changed:
                self._changed.wait_for(lambda: not self._used or self._used + count <= self._size)
                self._used += count
        self._held.count = count

    def _add(self, count: int) -> None:
        with self._changed:
            self._used += count
            self._changed.notify_all()


@cache
def _trim() -> Callable[[int], int]:
    """glibc's ``malloc_trim``, and nothing elsewhere. Pictures are made of blocks of up to 16 MB, which glibc keeps for
    the thread that freed them."""
    trim: Callable[[int], int] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)
    return trim


room = _Room(ROOM)


def _megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:.1f}".removesuffix(".0")


def check_pixels(
    size: tuple[int, int],
    *,
    limit: int | None = None,
    what: str = "images",
    bytes_a_pixel: int = BYTES_A_PIXEL,
) -> None:
    """Raises TooManyPixels for more than ``limit`` pixels, ``MAX_PIXELS`` of the settings by default, and for more than
    there is room for.

    ``what`` names in the message what the limit applies to. Returns when there is room to decode the picture.
    """
    width, height = size
    limit = int(conf.MAX_PIXELS if limit is None else limit)
    if bytes_a_pixel:
        limit = min(limit, ROOM // bytes_a_pixel)
    if width * height > limit:
        raise TooManyPixels(
            f"The image is {width} x {height} pixels, {_megapixels(width * height)} megapixels; "
            f"{what} may have at most {_megapixels(limit)} megapixels."
        )
    room.take(width * height * bytes_a_pixel)


def check_size(
    size: tuple[int, int],
    *,
    limit: int | None = None,
    what: str = "images",
    bytes_a_pixel: int = BYTES_A_PIXEL,
) -> None:
    """``check_pixels``, and ImageTooSmall for a side under ``MIN_SIDE``."""
    if min(size) < conf.MIN_SIDE:
        raise ImageTooSmall(f"The image is {size[0]} x {size[1]} pixels; each side must have at least {conf.MIN_SIDE}.")
    check_pixels(size, limit=limit, what=what, bytes_a_pixel=bytes_a_pixel)
