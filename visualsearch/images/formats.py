"""What a file is, from its first bytes alone, and whether the settings accept it. No decoder runs here."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec

from django.core.exceptions import ImproperlyConfigured
from PIL import features

from visualsearch.conf import conf
from visualsearch.exceptions import FormatNotAllowed, NotAnImage

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "HEIF")

# Signatures of what we decode. BMP has two letters only, so the length of its second header must fit, too.
_BMP = re.compile(rb"BM.{12}(\x0c|\x10|\x28|\x34|\x38|\x40|\x6c|\x7c)\0\0\0", re.DOTALL)
_DECODED = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WEBP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"), "TIFF"),
    (_BMP, "BMP"),
)
# Signatures of pictures and documents that are never decoded here, so that the refusal can name them.
_REFUSED = (
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "EPS"),
    (re.compile(rb"8BPS\0[\x01\x02]"), "PSD"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"II\xbc[\0\x01]"), "JPEG XR"),
    (re.compile(rb"\0\0\x01\0[^\0]\0|icns"), "ICO or ICNS"),
    (re.compile(rb"\0\0\x02\0[^\0]\0"), "CUR"),
    (re.compile(rb"P[1-6]\s+[#\d]|P7\nWIDTH|P[Ff]\n[\d-]"), "PPM"),
    (re.compile(rb"\x0a[\0\x02\x03\x05][\0\x01][\x01\x02\x04\x08]"), "PCX"),
    (re.compile(rb"DDS "), "DDS"),
    (re.compile(rb"qoif"), "QOI"),
    (re.compile(rb"\x76\x2f\x31\x01"), "OpenEXR"),
    (re.compile(rb"#\?(RADIANCE|RGBE)"), "Radiance HDR"),
    (re.compile(rb"\x01\xda[\0\x01][\x01\x02]"), "SGI"),
    (re.compile(rb"\x59\xa6\x6a\x95"), "Sun raster"),
    (re.compile(rb"gimp xcf"), "XCF"),
    (re.compile(rb"/\* XPM \*/"), "XPM"),
    (re.compile(rb"SIMPLE  ="), "FITS"),
    (re.compile(rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", re.DOTALL), "WMF or EMF"),
    (re.compile(rb"\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01\xba", re.DOTALL), "video"),
)
_SNIFFED_BYTES = 1024  # of the file; an SVG may open with a declaration and a comment

# Brands of ISO base media files (ISO/IEC 23008-12 and the AVIF specification).
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_STRUCTURE_BRANDS = {b"mif1", b"msf1", b"mif2", b"miaf"}  # say how a file is built, not how it is coded


def _iso_media(data: bytes) -> str:
    """AVIF, HEIF or video, by the brands in the file's first box."""
    length = min(int.from_bytes(data[:4], "big"), _SNIFFED_BYTES)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, length, 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return "AVIF"
        if brand in _HEIF_BRANDS:
            return "HEIF"
    return "HEIF" if brands[0] in _STRUCTURE_BRANDS else "video"


def _name(data: bytes) -> str | None:
    """The name of what a file is, as far as its first bytes tell."""
    head = data[:_SNIFFED_BYTES]
    for signature, name in _DECODED:
        if signature.match(head):
            return name
    if head[4:8] == b"ftyp" and len(head) >= 16:
        return _iso_media(head)
    for signature, name in _REFUSED:
        if signature.match(head):
            return name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return "SVG" if text.startswith(b"<") and b"<svg" in text else None


@cache
def _decodable(name: str) -> bool:
    """Whether the decoder is here: HEIF's comes with an extra, AVIF's and WebP's with most builds of Pillow."""
    if name == "HEIF":
        return find_spec("pillow_heif") is not None
    if name in ("AVIF", "WEBP"):
        return bool(features.check(name.lower()))
    return True


def accepted_formats() -> tuple[str, ...]:
    """The formats of ``IMAGE_FORMATS`` that can be decoded here, by Pillow's names.

    Raises ImproperlyConfigured where the setting names one that this package does not decode.
    """
    chosen = tuple(conf.IMAGE_FORMATS)
    if unknown := sorted(set(chosen) - set(FORMATS)):
        raise ImproperlyConfigured(
            f'VISUALSEARCH["IMAGE_FORMATS"] has unknown formats: {", ".join(unknown)}. '
            f"Valid formats: {', '.join(FORMATS)}."
        )
    return tuple(name for name in chosen if _decodable(name))


def identify(data: bytes) -> str:
    """Pillow's name of the file's format, one of ``accepted_formats()``.

    Raises NotAnImage, or FormatNotAllowed for a picture of a kind that is not accepted.
    """
    if not data:
        raise NotAnImage("The file is empty.")
    name = _name(data)
    if name is None:
        raise NotAnImage("The file is not an image of a known format.")
    accepted = accepted_formats()
    if name in accepted:
        return name
    if name == "HEIF" and "HEIF" in conf.IMAGE_FORMATS:
        raise FormatNotAllowed(
            "HEIF (HEIC) images need an optional decoder that is not installed; "
            'run: pip install "django-visualsearch[heif]"'
        )
    if name in conf.IMAGE_FORMATS:
        raise FormatNotAllowed(f"{name} images cannot be decoded here: this Pillow was built without {name}.")
    raise FormatNotAllowed(f"{name} files are not accepted. Accepted: {', '.join(accepted)}.")
