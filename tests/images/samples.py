"""Image files made for the tests: every format and mode, and files that lie."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIZE = (96, 72)
CORNERS = ((220, 40, 40), (40, 180, 60), (50, 70, 210), (230, 200, 60))


def picture(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Four quarters of different colours and a disc, so that each turn and flip looks different."""
    width, height = size
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    for place, colour in enumerate(CORNERS):
        left, top = place % 2 * width // 2, place // 2 * height // 2
        draw.rectangle((left, top, left + width // 2, top + height // 2), fill=colour)
    draw.ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill=(245, 240, 235))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "I;16B":
        return Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16) * 257).astype(">u2"))
    if mode in ("P", "PA"):
        return image.quantize(16).convert(mode)
    return image.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, mode)).convert(mode)


def busy(size: tuple[int, int] = (160, 120), seed: int = 7) -> Image.Image:
    """Noise over a slope: a picture whose file is long enough to be cut anywhere."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, 180, size[0])[None, :, None] + rng.integers(0, 70, (size[1], size[0], 3))
    return Image.fromarray(slope.astype(np.uint8))


def encoded(image: Image.Image, fmt: str, **options: Any) -> bytes:
    """The file of a picture. HEIF is written by pillow-heif, which stays unregistered."""
    out = io.BytesIO()
    if fmt == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(out, **options)
    else:
        image.save(out, fmt, **options)
    return out.getvalue()


def exif(orientation: int) -> bytes:
    """An EXIF block that says how the picture is turned, and who made the camera."""
    tags = Image.Exif()
    tags[274], tags[271] = orientation, "Maker"
    return tags.tobytes()


def chunk(name: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(size: tuple[int, int], depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG from raw rows (filter bytes included), for what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_chunk(data: bytes, *extra: bytes) -> bytes:
    """A PNG with more chunks, right after its header."""
    return data[:33] + b"".join(extra) + data[33:]


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    """A JPEG with one more segment, right after its start."""
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + data[2:]


def tiff(tags: list[tuple[int, int, int, int]], pixels: bytes) -> bytes:
    """A TIFF from tags (number, field type, count, value or offset) and the bytes that follow the header."""
    table = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    at = 8 + len(pixels)
    return struct.pack("<2sHI", b"II", 42, at) + pixels + struct.pack("<H", len(tags)) + table + b"\0" * 4


@cache
def files() -> dict[str, bytes]:
    """One file of each kind that is accepted, by a name that says which. HEIF only where its extra is installed."""
    made: dict[str, bytes] = {"jpeg progressive": encoded(picture(), "JPEG", progressive=True, exif=exif(6))}
    for mode in ("L", "RGB", "CMYK"):
        made[f"jpeg {mode}"] = encoded(picture(mode), "JPEG", quality=95, exif=exif(1))
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        made[f"png {mode}"] = encoded(picture(mode), "PNG", exif=exif(1))
    for mode in ("RGB", "RGBA"):
        made[f"webp {mode}"] = encoded(picture(mode), "WEBP", quality=95, exif=exif(1))
        made[f"webp lossless {mode}"] = encoded(picture(mode), "WEBP", lossless=True)
        made[f"avif {mode}"] = encoded(picture(mode), "AVIF", quality=95, exif=exif(1))
    for fmt in ("WEBP", "AVIF", "GIF", "PNG"):
        frames = [picture().rotate(180)] * 2
        made[f"{fmt.lower()} animated"] = encoded(picture(), fmt, save_all=True, append_images=frames)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        made[f"bmp {mode}"] = encoded(picture(mode), "BMP")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "I", "F", "CMYK", "YCbCr", "LAB"):
        # Pillow before 13 cannot read an uncompressed YCbCr TIFF of its own.
        compression = "tiff_lzw" if mode == "YCbCr" else None
        made[f"tiff {mode}"] = encoded(picture(mode), "TIFF", exif=exif(1), compression=compression)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        made[f"tiff {compression}"] = encoded(picture(), "TIFF", compression=compression)
    made["tiff group4"] = encoded(picture("1"), "TIFF", compression="group4")
    made["tiff big"] = encoded(picture(), "TIFF", big_tiff=True)
    with suppress(ImportError):
        made |= {f"heif {mode}": encoded(picture(mode), "HEIF", quality=95) for mode in ("RGB", "RGBA", "L")}
    return made
