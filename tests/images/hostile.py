"""Files made to exhaust whoever opens them. Small on disk; none of them may cost memory or time."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from tests.images.samples import chunk, encoded, picture, png, tiff, with_chunk, with_segment

Size = tuple[int, int]


@cache
def made(make: Callable[[], bytes]) -> bytes:
    """The file, made once."""
    return make()


def png_of_900_megapixels() -> bytes:
    """A whole PNG of 30000 x 30000 in black and white: half a megabyte, of which Pillow makes 900."""
    return png((30_000, 30_000), 1, 0, b"\0" * (3751 * 30_000))


def png_with_profile() -> bytes:
    """A colour profile that inflates to 100 MB."""
    profile = zlib.compress(b"\0" * (100 << 20), 1)
    return with_chunk(encoded(picture(), "PNG"), chunk(b"iCCP", b"x\0\0" + profile))


def png_with_texts() -> bytes:
    """A thousand texts that inflate to a megabyte each."""
    text = zlib.compress(b"\0" * (1 << 20), 9)
    return with_chunk(encoded(picture(), "PNG"), *(chunk(b"zTXt", b"%d\0\0" % key + text) for key in range(1000)))


def png_with_more_pixels_than_it_says() -> bytes:
    """Pixels that inflate to 100 MB, of which 16 x 16 are shown."""
    return png((16, 16), 8, 0, b"\0" * (100 << 20))


def jpeg_with_exif() -> bytes:
    """5,000 EXIF tags that each point at the same 300 kB."""
    tags = b"".join(struct.pack("<HHII", tag, 7, 300_000, 0) for tag in range(1000, 6000))
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + tags + b"\0" * 4
    block = block.ljust(300_100, b"x")
    data = encoded(picture(), "JPEG")
    for start in reversed(range(0, len(block), 65_000)):
        data = with_segment(data, 0xE1, b"Exif\0\0" + block[start : start + 65_000])
    return data


def tiff_with_tags() -> bytes:
    """20,000 tags that each point at the same 500 kB."""
    pixels = bytes(800 * 700)
    tags = [(256, 3, 1, 800), (257, 3, 1, 700), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(278, 3, 1, 700), (279, 4, 1, len(pixels))]
    return tiff(tags + [(tag, 7, 500_000, 0) for tag in range(1000, 21_000)], pixels)


def tiff_with_strips() -> bytes:
    """Two million strips for a picture of one."""
    pixels = bytes(100 * 100)
    count = 2_000_000
    offsets = struct.pack("<I", 8) * count
    tags = [(256, 3, 1, 100), (257, 3, 1, 100), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (278, 3, 1, 100)]
    tags += [(273, 4, count, 8 + len(pixels)), (279, 4, 1, len(pixels))]
    return tiff(tags, pixels + offsets)


def tiff_with_a_tile() -> bytes:
    """A tile of 256 megapixels for a picture of 64 x 64."""
    pixels = encoded(Image.new("L", (64, 64)), "JPEG")
    tags = [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 7), (262, 3, 1, 1)]
    tags += [(322, 3, 1, 16_000), (323, 3, 1, 16_000), (324, 4, 1, 8), (325, 4, 1, len(pixels))]
    return tiff(tags, pixels)


def tiff_with_a_long_jpeg() -> bytes:
    """A strip of 64 x 64 that holds a JPEG of 36 megapixels."""
    pixels = encoded(Image.new("L", (6000, 6000)), "JPEG")
    tags = [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 7), (262, 3, 1, 1), (278, 3, 1, 64)]
    tags += [(273, 4, 1, 8), (279, 4, 1, len(pixels))]
    return tiff(tags, pixels)


def jpeg_with_scans() -> bytes:
    """A progressive JPEG whose last scan, of a few kilobytes, is there 5,000 times."""
    data = encoded(Image.new("L", (2000, 2000)), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * 5000 + data[-2:]


def progressive_jpeg_of_51_megapixels() -> bytes:
    return encoded(Image.new("L", (10_000, 5100)), "JPEG", progressive=True)


def jpeg_of_201_megapixels() -> bytes:
    data = bytearray(encoded(Image.new("L", (64, 64)), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 14_180, 14_180)
    return bytes(data)


def _gif_body() -> tuple[bytes, bytes]:
    data = encoded(picture("P", (64, 64)), "GIF")
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at], data[at:]


def gif_with_comment() -> bytes:
    """15 MB of comment in blocks of 255 bytes, to be joined one after the other."""
    head, body = _gif_body()
    return head + b"\x21\xfe" + (b"\xff" + b"c" * 255) * 60_000 + b"\0" + body


def gif_with_frames() -> bytes:
    """300,000 frames."""
    head, body = _gif_body()
    frame = b"\x21\xf9\x04\0\0\0\0\0" + b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    return head + body[:-1] + frame * 300_000 + b";"


def webp_with_a_canvas() -> bytes:
    data = bytearray(encoded(picture(), "WEBP", lossless=True))
    data[21:25] = struct.pack("<I", 16_382 | 16_382 << 14)
    return bytes(data)


def webp_frame_larger_than_its_canvas() -> bytes:
    body = encoded(Image.new("RGB", (4000, 3000)), "WEBP", lossless=True, method=0)[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0" * 4 + b"\x3f\0\0" * 2
    content = b"WEBP" + canvas + body
    return b"RIFF" + struct.pack("<I", len(content)) + content


def avif_that_lies() -> bytes:
    """A stream of 50.4 megapixels whose properties say 64 x 64."""
    data = bytearray(encoded(Image.new("L", (7200, 7000)), "AVIF", speed=10))
    at = data.index(b"ispe")
    data[at + 8 : at + 16] = struct.pack(">II", 64, 64)
    return bytes(data)


def avif_with_extents() -> bytes:
    """4 thousand million extents that take no byte to list."""
    data = encoded(picture(), "AVIF")
    at = data.index(b"iloc")
    location = b"\0\0\0\0\0\0" + struct.pack(">H", 65_535) + struct.pack(">HHH", 1, 0, 65_535) * 65_535
    grown = struct.pack(">I", len(location) + 8) + b"iloc" + location
    length = int.from_bytes(data[at - 4 : at], "big")
    data = data[: at - 4] + grown + data[at - 4 + length :]
    meta = data.index(b"meta") - 4
    more = int.from_bytes(data[meta : meta + 4], "big") + len(grown) - length
    return data[:meta] + struct.pack(">I", more) + data[meta + 4 :]


def bmp_of_a_gigapixel() -> bytes:
    data = bytearray(encoded(picture(), "BMP"))
    data[18:26] = struct.pack("<ii", 32_000, 32_000)
    return bytes(data)


def bmp_with_runs() -> bytes:
    """12 million runs of one pixel."""
    header = struct.pack("<IiiHHIIiiII", 40, 4000, 3000, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + b"\0\1\2\0" * 256 + b"\1\7" * 12_000_000


def jpeg_with_segments() -> bytes:
    """Five million empty comments."""
    data = encoded(picture(), "JPEG")
    return data[:2] + b"\xff\xfe\0\2" * 5_000_000 + data[2:]


def jpeg_with_restarts() -> bytes:
    """Ten million markers that mean nothing here."""
    data = encoded(picture(), "JPEG")
    return data[:2] + b"\xff\xd0" * 10_000_000 + data[2:]


def jpeg_with_padding() -> bytes:
    """20 MB of the byte that may stand before a marker any number of times."""
    data = encoded(picture(), "JPEG")
    return data[:2] + b"\xff" * 20_000_000 + data[2:]


def jpeg_of_padding() -> bytes:
    """20 MB of the same, and nothing after it."""
    return encoded(picture(), "JPEG")[:2] + b"\xff" * 20_000_000


def jpeg_with_padding_between_scans() -> bytes:
    """20 MB of it after the first scan."""
    data = encoded(picture(), "JPEG", progressive=True)
    return data[: data.index(b"\xff\xda") + 40] + b"\xff" * 20_000_000


def jpeg_with_tables_between_scans() -> bytes:
    """Five million empty tables before the second scan."""
    data = encoded(picture(), "JPEG", progressive=True)
    at = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    return data[:at] + b"\xff\xc4\0\2" * 5_000_000 + data[at:]


def png_with_chunks() -> bytes:
    """A million and a half chunks without content."""
    data = encoded(picture(), "PNG")
    return data[:-12] + chunk(b"IDAT", b"") * 1_500_000 + data[-12:]


def gif_with_extensions() -> bytes:
    """Seven million extensions without content."""
    head, body = _gif_body()
    return head + b"\x21\xfe\0" * 7_000_000 + body


def avif_with_boxes() -> bytes:
    """Two million boxes without content."""
    return encoded(picture(), "AVIF") + b"\0\0\0\x08free" * 2_000_000


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The file with some bytes changed, lost, added or moved."""
    changed, at = bytearray(data), rng.randrange(len(data))
    match rng.randrange(6):
        case 0:
            return data[:at]
        case 1:
            for _ in range(rng.randrange(1, 6)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        case 2:  # in the headers
            for _ in range(rng.randrange(1, 8)):
                changed[rng.randrange(min(len(changed), 300))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        case 3:
            del changed[at : at + rng.randrange(1, 40)]
        case 4:
            changed[at:at] = rng.randbytes(rng.randrange(1, 40))
        case _:
            changed[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1"))
    return bytes(changed)


# What becomes of each: the picture's size, or the code of the refusal.
HOSTILE: dict[Callable[[], bytes], Size | str] = {
    png_of_900_megapixels: "too_many_pixels",
    png_with_profile: (96, 72),
    png_with_texts: (96, 72),
    png_with_more_pixels_than_it_says: (16, 16),
    jpeg_with_exif: (96, 72),
    jpeg_with_scans: "truncated_image",
    progressive_jpeg_of_51_megapixels: "too_many_pixels",
    jpeg_of_201_megapixels: "too_many_pixels",
    tiff_with_tags: (800, 700),
    tiff_with_strips: (100, 100),
    tiff_with_a_tile: "too_many_pixels",
    tiff_with_a_long_jpeg: "truncated_image",
    gif_with_comment: (64, 64),
    gif_with_frames: (64, 64),
    webp_with_a_canvas: "too_many_pixels",
    webp_frame_larger_than_its_canvas: "truncated_image",
    avif_that_lies: "too_many_pixels",
    avif_with_extents: "truncated_image",
    bmp_of_a_gigapixel: "too_many_pixels",
    bmp_with_runs: "file_too_large",
    jpeg_with_segments: "truncated_image",
    jpeg_with_restarts: "truncated_image",
    jpeg_with_padding: (96, 72),
    jpeg_of_padding: "truncated_image",
    jpeg_with_padding_between_scans: "truncated_image",
    jpeg_with_tables_between_scans: "truncated_image",
    png_with_chunks: "truncated_image",
    gif_with_extensions: "truncated_image",
    avif_with_boxes: "truncated_image",
}
