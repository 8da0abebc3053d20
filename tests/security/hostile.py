"""Some four hundred files made to harm whoever opens them, the same in every run. None is kept in the repository.

Each has a name that begins with its kind. What becomes of it is for the tests to say: it is embedded, or refused by one
of the codes of docs/images.md.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from PIL import Image

from tests.images.hostile import HOSTILE, mutated
from tests.images.samples import busy, chunk, encoded, exif, files, picture, png, tiff, with_chunk, with_segment

Make = Callable[[], bytes]
Made = Iterator[tuple[str, Make]]

ENDINGS = {
    "jpeg": "jpg", "jpegp": "jpg", "png": "png", "webp": "webp", "webpl": "webp",
    "gif": "gif", "avif": "avif", "tiff": "tif", "bmp": "bmp",
}  # fmt: skip
SIGNATURES = {
    "jpeg": b"\xff\xd8\xff\xe0", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a", "bmp": b"BM",
    "tiff": b"II*\0", "webp": b"RIFF\xff\xff\0\0WEBP", "avif": b"\0\0\0\x1cftypavif",
}  # fmt: skip
REGIONS = (3, 8, 14, 24, 40, 0.1, 0.3, 0.5, 0.7, 0.9, -1)  # bytes, parts of the file, or all but the last
SIDES = (
    (100_000, 100_000), (100_000, 16), (16, 100_000), (65_535, 65_535),
    (2**31 - 1, 2**31 - 1), (0, 0), (1, 50), (0, 100),
)  # fmt: skip


@cache
def whole() -> dict[str, bytes]:
    """One good file of each format, long enough to be cut anywhere."""
    image = busy()
    return {
        "jpeg": encoded(image, "JPEG", exif=exif(6)),
        "jpegp": encoded(image, "JPEG", progressive=True),
        "png": encoded(image, "PNG"),
        "webp": encoded(image, "WEBP"),
        "webpl": encoded(image, "WEBP", lossless=True),
        "gif": encoded(image.quantize(64), "GIF"),
        "avif": encoded(image, "AVIF"),
        "tiff": encoded(image, "TIFF", compression="tiff_lzw"),
        "bmp": encoded(image, "BMP"),
    }


def _cut(data: bytes, region: float) -> bytes:
    return data[: int(region if isinstance(region, int) else len(data) * region)]


def truncated() -> Made:
    for name, data in whole().items():
        for region in REGIONS:
            yield f"cut-{name}-{region}.{ENDINGS[name]}", partial(_cut, data, region)


def wrong_headers() -> Made:
    """The first bytes of one format, the rest of another."""
    good = whole()
    for first, signature in SIGNATURES.items():
        for rest in SIGNATURES:
            if rest != first:
                body = good[rest][len(signature) :]
                yield f"header-{first}-of-{rest}.{ENDINGS[first]}", partial(bytes.__add__, signature, body)


def _sized(name: str, width: int, height: int) -> bytes:
    """The good file of this format, whose header says another size."""
    data = bytearray(whole()[name])
    at, layout = {
        "png": (16, ">II"),
        "bmp": (18, "<II"),
        "gif": (6, "<HH"),
        "jpeg": (data.find(b"\xff\xc0") + 5, ">HH"),
        "jpegp": (data.find(b"\xff\xc2") + 5, ">HH"),
        "avif": (data.find(b"ispe") + 8, ">II"),
        "webpl": (21, "<I"),
    }[name]
    if name == "webpl":
        values = (((width - 1) & 0x3FFF) | ((height - 1) & 0x3FFF) << 14,)
    else:
        most = 2 ** (8 * struct.calcsize(layout) // 2) - 1
        sides = (min(width, most), min(height, most))
        values = sides[::-1] if name.startswith("jpeg") else sides
    struct.pack_into(layout, data, at, *values)
    if name == "png":
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    return bytes(data)


def sizes() -> Made:
    for name in ("png", "bmp", "gif", "jpeg", "jpegp", "avif", "webpl"):
        for width, height in SIDES:
            yield f"side-{name}-{width}x{height}.{ENDINGS[name]}", partial(_sized, name, width, height)
    for width, height in SIDES[:4]:
        yield f"side-tiff-{width}x{height}.tif", partial(_plain_tiff, width, height)


def _plain_tiff(width: int, height: int, *more: tuple[int, int, int, int], count: int = 1) -> bytes:
    pixels = bytes(64 * 64)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, count, 8), (278, 4, 1, height), (279, 4, count, len(pixels))]
    return tiff([*tags, *more], pixels)


def bombs() -> Made:
    endings = {"webp": "webp", "avif": "avif", "tiff": "tif", "bmp": "bmp", "gif": "gif", "png": "png"}
    for make in HOSTILE:
        ending = next((end for name, end in endings.items() if make.__name__.startswith(name)), "jpg")
        yield f"bomb-{make.__name__}.{ending}", make
    for depth, colour in ((1, 0), (8, 2), (16, 6)):
        yield f"bomb-png-inflates-{depth}-{colour}.png", partial(_inflating_png, depth, colour)
    for name, mode, size, options in WITHIN:
        yield f"bomb-within-{mode}.{ENDINGS[name]}", partial(_within, name, mode, size, options)
    yield "bomb-tiff-deflate.tif", partial(_inflating_tiff, 8)
    yield "bomb-tiff-packbits.tif", partial(_inflating_tiff, 32773)


# A flat colour of as many pixels as are allowed is a small file of each format. In the last two it is too many.
ALLOWED, TOO_MANY_FOR_SOME = (7000, 7100), (6400, 6400)
WITHIN: tuple[tuple[str, str, tuple[int, int], dict[str, Any]], ...] = (
    ("png", "RGBA", ALLOWED, {"compress_level": 1}),
    ("png", "I;16", ALLOWED, {"compress_level": 1}),
    ("gif", "P", ALLOWED, {}),
    ("tiff", "CMYK", ALLOWED, {"compression": "tiff_adobe_deflate"}),
    ("tiff", "F", ALLOWED, {"compression": "tiff_adobe_deflate"}),
    ("jpegp", "CMYK", (6300, 6300), {"progressive": True}),
    ("webp", "RGBA", (5000, 4000), {"lossless": True, "method": 0, "quality": 0}),
    ("avif", "RGB", (5900, 6000), {"speed": 10}),
    ("webp", "RGB", TOO_MANY_FOR_SOME, {"lossless": True, "method": 0, "quality": 0}),
    ("avif", "L", TOO_MANY_FOR_SOME, {"speed": 10}),
)


def _within(name: str, mode: str, size: tuple[int, int], options: dict[str, Any]) -> bytes:
    return encoded(Image.new(mode, size, 90), {"jpegp": "JPEG"}.get(name, name.upper()), **options)


def _inflating_png(depth: int, colour: int) -> bytes:
    """48 kB that inflate to 48 MB behind a header of 20 x 20."""
    return png((20, 20), depth, colour, b"\0" * (48 << 20))


def _inflating_tiff(compression: int) -> bytes:
    """A strip of 64 x 64 whose bytes unpack to 48 MB."""
    packed = zlib.compress(b"\0" * (48 << 20), 9) if compression == 8 else b"\x81\0" * (48 << 13)
    tags = [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
    return tiff([*tags, (273, 4, 1, 8), (278, 3, 1, 64), (279, 4, 1, len(packed))], packed)


def _animated(fmt: str, count: int) -> bytes:
    frames = [Image.new("L", (32, 32), number % 251) for number in range(count)]
    return encoded(frames[0], fmt, save_all=True, append_images=frames[1:])


def frames() -> Made:
    for fmt, count in (("GIF", 1500), ("PNG", 1500), ("WEBP", 400), ("TIFF", 600), ("AVIF", 60)):
        yield f"frames-{count}.{ENDINGS[fmt.lower()]}", partial(_animated, fmt, count)


def texts_and_profiles() -> Made:
    """Metadata that is large, inflates, or is none."""
    text = zlib.compress(b"a" * (8 << 20), 9)
    noise = random.Random(3).randbytes(3000)
    makes: dict[str, Make] = {
        "text-zTXt.png": lambda: with_chunk(encoded(picture(), "PNG"), *[chunk(b"zTXt", b"k\0\0" + text)] * 60),
        "text-iTXt.png": lambda: with_chunk(encoded(picture(), "PNG"), *[chunk(b"iTXt", b"k\0\1\0\0\0" + text)] * 60),
        "text-tEXt.png": lambda: with_chunk(encoded(picture(), "PNG"), chunk(b"tEXt", b"k\0" + b"a" * (12 << 20))),
        "text-behind.png": lambda: encoded(picture(), "PNG")[:-12] + chunk(b"zTXt", b"k\0\0" + text) * 60,
        "text-comment.jpg": lambda: _segments(0xFE, b"c" * 65_000, 150),
        "text-xmp.jpg": lambda: _segments(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<" * 65_000, 100),
        "text-xmp-entities.jpg": lambda: _segments(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + LAUGHS, 1),
        "text-description.tif": lambda: _plain_tiff(64, 64, (270, 2, 2**31, 0)),
        "icc-bomb.png": lambda: with_chunk(encoded(picture(), "PNG"), chunk(b"iCCP", b"x\0\0" + text)),
        "icc-noise.png": lambda: encoded(picture(), "PNG", icc_profile=noise),
        "icc-noise.jpg": lambda: encoded(picture(), "JPEG", icc_profile=noise),
        "icc-noise.webp": lambda: encoded(picture(), "WEBP", icc_profile=noise),
        "icc-noise.tif": lambda: encoded(picture(), "TIFF", icc_profile=noise),
        "icc-noise.avif": lambda: encoded(picture(), "AVIF", icc_profile=noise),
        "icc-parts.jpg": lambda: _segments(0xE2, b"ICC_PROFILE\0\xff\1" + b"p" * 60_000, 200),
        "icc-long.tif": lambda: _plain_tiff(64, 64, (34675, 7, 2**32 - 1, 8)),
    }
    yield from makes.items()


def _segments(marker: int, content: bytes, count: int) -> bytes:
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    data = encoded(picture(), "JPEG")
    return data[:2] + segment * count + data[2:]


LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
LAUGHS += b"]><svg xmlns='http://www.w3.org/2000/svg'>&j;</svg>"


def recursion() -> Made:
    """Structures that lead back to themselves, or down and down."""
    loop = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
    nested = b""
    for _ in range(5000):
        nested = struct.pack(">I", len(nested) + 8) + b"meta" + nested
    brand = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"
    good = whole()
    makes: dict[str, Make] = {
        "loop-exif.jpg": lambda: with_segment(encoded(picture(), "JPEG"), 0xE1, b"Exif\0\0" + loop),
        "loop-exif.png": lambda: with_chunk(encoded(picture(), "PNG"), chunk(b"eXIf", loop)),
        "loop-page.tif": lambda: _plain_tiff(64, 64)[:-4] + struct.pack("<I", 8 + 64 * 64),
        "loop-sub.tif": lambda: _plain_tiff(64, 64, (330, 4, 1, 8 + 64 * 64)),
        "loop-directory-is-header.tif": lambda: b"II*\0\0\0\0\0" + bytes(200),
        "deep-boxes.avif": lambda: brand + nested,
        "deep-boxes-in-good.avif": lambda: good["avif"] + nested,
        "deep-png.png": lambda: with_chunk(good["png"], chunk(b"IDAT", good["png"])),
        "deep-jpeg.jpg": lambda: with_segment(good["jpeg"], 0xE2, good["jpeg"][:60_000]),
        "deep-riff.webp": lambda: good["webp"][:12] + good["webp"] * 200,
        "box-of-no-length.avif": lambda: brand + b"\0\0\0\1meta" + bytes(8) + good["avif"],
        "box-that-ends-before.avif": lambda: brand + b"\0\0\0\4meta" + good["avif"],
    }
    yield from makes.items()


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.py", "print('ran')")
    return file.getvalue()


def polyglots() -> Made:
    """Files that are two things at once, or scripts and documents under a picture's name."""
    good, script = whole(), b"<script>alert(1)</script>"
    php = b"<?php system($_GET['c']); ?>"
    html = b"<html><body>" + script + b"</body></html>"
    external = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
    makes: dict[str, Make] = {
        "both-zip.jpg": lambda: good["jpeg"] + _zip(),
        "both-zip.png": lambda: good["png"] + _zip(),
        "both-zip.gif": lambda: good["gif"] + _zip(),
        "both-html.png": lambda: good["png"] + html,
        "both-php.jpg": lambda: with_segment(good["jpeg"], 0xFE, php),
        "both-script.gif": lambda: b"GIF89a/*" + good["gif"][8:] + b"*/=1;alert(1)",
        "both-script.bmp": lambda: good["bmp"] + script,
        "both-pdf.jpg": lambda: b"%PDF-1.7\n" + good["jpeg"],
        "both-exe.png": lambda: b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + good["png"],
        "both-mp4.avif": lambda: b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + good["avif"],
        "both-two.jpg": lambda: good["jpeg"] + good["png"],
        "both-tar.jpg": lambda: b"x" * 257 + b"ustar" + good["jpeg"],
        "not-html.jpg": lambda: html,
        "not-svg.png": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "not-svg-laughs.png": lambda: LAUGHS,
        "not-svg-external.png": lambda: external,
        "not-zip.jpg": _zip,
        "not-eps.jpg": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (w) file\n",
        "not-mvg.jpg": lambda: b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/x.php?`id`'\n",
        "not-psd.jpg": lambda: b"8BPS\0\1" + bytes(400),
        "not-pickle.jpg": lambda: b"cos\nsystem\n(S'id'\ntR.",
        "not-url.jpg": lambda: b"http://127.0.0.1:1/picture.jpg",
        "not-path.jpg": lambda: b"../../../../etc/passwd",
    }
    yield from makes.items()


def nothing() -> Made:
    for length in (0, 1, 100, 1 << 20):
        yield f"zeros-{length}.jpg", partial(bytes, length)
    for name, signature in SIGNATURES.items():
        yield f"zeros-{name}.{ENDINGS[name]}", partial(bytes.__add__, signature, bytes(5000))
        yield f"ones-{name}.{ENDINGS[name]}", partial(bytes.__add__, signature, b"\xff" * 5000)


def damaged() -> Made:
    """Every kind of good file, some bytes of each changed, lost, added or moved."""
    rng = random.Random(20261121)
    for name, data in files().items():
        ending = ENDINGS.get(name.split()[0], "jpg")
        yield f"damaged-{name.replace(' ', '-').replace(';', '')}.{ending}", partial(bytes, mutated(data, rng))


KINDS = (
    truncated, wrong_headers, sizes, bombs, frames, texts_and_profiles, recursion, polyglots, nothing, damaged,
)  # fmt: skip


def everything() -> dict[str, Make]:
    """All files by name, each made when it is asked for."""
    found: dict[str, Make] = {}
    for kind in KINDS:
        for name, make in kind():
            assert name not in found, name
            found[name] = make
    return found


def sample() -> dict[str, Make]:
    """Some of each kind, none of which takes long to make."""
    made = everything()
    quick = [name for name in made if not name.startswith(("bomb-", "frames-", "zeros-0"))]
    return {name: made[name] for name in [*quick[::7], "bomb-png_with_texts.png", "bomb-tiff_with_a_tile.tif"]}
