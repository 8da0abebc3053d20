"""WebP, HEIF and BMP: opened whole, their size checked before the decoder takes memory for pixels."""

from __future__ import annotations

import io

from PIL.BmpImagePlugin import BmpImageFile
from PIL.WebPImagePlugin import WebPImageFile

from visualsearch.exceptions import FileTooLarge, TruncatedImage
from visualsearch.images.directory import exif_orientation
from visualsearch.images.limits import check_size
from visualsearch.images.reading import megabytes
from visualsearch.images.streams import Undecoded

_RUN_LENGTHS = (b"\1\0\0\0", b"\2\0\0\0")  # of 8 and of 4 bits
# What libwebp (its decoder of animations, which Pillow takes for all) and libheif take for a pixel, measured.
_WEBP_BYTES, _HEIF_BYTES = 16, 7
_MAX_RUN_LENGTH_BYTES = 4 * 1024 * 1024


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height, from the first chunk's header (RFC 9649, sections 2.5 to 2.7)."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise TruncatedImage("The WebP file ends within its header.")
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise TruncatedImage("The WebP file is damaged: it does not say how large its picture is.")


def open_webp(data: bytes) -> Undecoded:
    """The first frame of a WebP. The decoder takes its canvas on opening, so that the size is read before."""
    check_size(_webp_size(data), what="WebP images", bytes_a_pixel=_WEBP_BYTES)
    image = WebPImageFile(io.BytesIO(data))
    return image, exif_orientation(image.info.get("exif", b""))


def open_heif(data: bytes) -> Undecoded:
    """The primary picture of a HEIF (HEIC). libheif turns it upright itself."""
    import pillow_heif  # an extra: formats.identify() has made sure that it is there

    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    check_size(file.size, what="HEIF images", bytes_a_pixel=_HEIF_BYTES)
    return file.to_pillow(), 1


def open_bmp(data: bytes) -> Undecoded:
    """A BMP. One with run lengths may be 4 MB long: Pillow decodes those in Python, three million runs a second."""
    header, compression = data[14], data[30:34]
    if header >= 40 and compression in _RUN_LENGTHS and len(data) > _MAX_RUN_LENGTH_BYTES:
        raise FileTooLarge(f"BMP files with run lengths may have at most 4 MB, this one has {megabytes(len(data))}.")
    image = BmpImageFile(io.BytesIO(data))
    check_size(image.size)
    return image, 1
