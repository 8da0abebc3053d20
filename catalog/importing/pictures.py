"""What a file holds: its hash and, where it is new, whether it is a picture that can be searched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visualsearch.exceptions import ImageRefused
from visualsearch.images import content_hash, open_image, read_limited, upright_size


class Refused(Exception):
    """The file is not imported; the message says why."""


@dataclass(frozen=True)
class Picture:
    """A file that was read. ``width`` and ``height``: upright, in pixels. A known one is neither decoded nor kept."""

    digest: str
    data: bytes = b""
    width: int | None = None
    height: int | None = None

    @property
    def decoded(self) -> bool:
        return self.width is not None


def inspect(path: Path, known: str = "") -> Picture:
    """Reads a file, and decodes it unless its hash is ``known``. Raises Refused."""
    data = _read(path)
    digest = content_hash(data)
    if digest == known:
        return Picture(digest)
    try:
        open_image(data)
        width, height = upright_size(data)
    except ImageRefused as exc:
        raise Refused(f"{exc} [{exc.code}]") from exc
    return Picture(digest, data, width, height)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return read_limited(file)
    except ImageRefused as exc:
        raise Refused(f"{exc} [{exc.code}]") from exc
    except OSError as exc:
        raise Refused(f"the file cannot be read: {exc.strerror or exc}.") from exc
