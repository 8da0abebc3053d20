"""What is not decoded is refused by name, in a sentence that says what was seen and what is allowed."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from tests.images.samples import busy, encoded, files, picture, png, with_segment
from visualsearch.exceptions import (
    FileTooLarge,
    FormatNotAllowed,
    ImageRefused,
    ImageTooSmall,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
)
from visualsearch.images import accepted_formats, content_hash, formats, open_image, read_limited

pytestmark = pytest.mark.filterwarnings("error")


def outcome(data: bytes) -> str:
    """The mode of the picture, or the code of the refusal. Any other exception is a failure."""
    try:
        return open_image(data).mode
    except ImageRefused as refusal:
        return refusal.code


NO_IMAGES = [b"", b"\0", b"\xff\xd8", b"\x89PNG", b"\0\0\0\x20ftyp", b"\0" * 5000, bytes(range(256))]
NO_IMAGES += [b"hello, this is text", b"P4yment due", b"BMW is a car, not a bitmap"]
NO_IMAGES += [b"PK\x03\x04" + b"\0" * 60, b"<html><body>404</body></html>"]


@pytest.mark.parametrize("data", NO_IMAGES)
def test_not_an_image(data: bytes) -> None:
    with pytest.raises(NotAnImage) as refusal:
        open_image(data)
    assert refusal.value.code == "not_an_image"
    assert ("empty" in str(refusal.value)) is (not data)


SVG = b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>'


def _saved(fmt: str) -> bytes:
    return encoded(picture(), fmt)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: SVG, "SVG"),
        (lambda: b"\xef\xbb\xbf <SVG width='5'></SVG>", "SVG"),
        (lambda: _saved("PDF"), "PDF"),
        (lambda: _saved("EPS"), "EPS"),
        (lambda: _saved("JPEG2000"), "JPEG 2000"),
        (lambda: _saved("ICO"), "ICO"),
        (lambda: _saved("PPM"), "PPM"),
        (lambda: _saved("PCX"), "PCX"),
        (lambda: _saved("DDS"), "DDS"),
        (lambda: _saved("SGI"), "SGI"),
        (lambda: _saved("QOI"), "QOI"),
        (lambda: b"8BPS\0\x01" + b"\0" * 60, "PSD"),
        (lambda: b"\0\0\0\x20ftypisom\0\0\0\0isommp42" + b"\0" * 60, "video"),
        (lambda: b"\xff\x0a" + b"\0" * 60, "JPEG XL"),
    ],
)
def test_formats_that_are_never_decoded_are_named(make: Callable[[], bytes], name: str) -> None:
    with pytest.raises(FormatNotAllowed, match=f"{name}.* files are not accepted. Accepted: JPEG, PNG"):
        open_image(make())


def test_ghostscript_never_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*args: object, **kwargs: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen", started)
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", started)
    with pytest.raises(FormatNotAllowed):
        open_image(_saved("EPS"))


def test_the_list_of_formats_is_a_setting(use_settings: Any) -> None:
    use_settings(IMAGE_FORMATS=("PNG", "WEBP"))
    assert open_image(encoded(picture(), "PNG")).size == (96, 72)
    for fmt in ("JPEG", "GIF", "TIFF", "BMP", "AVIF"):
        with pytest.raises(FormatNotAllowed, match=f"^{fmt} files are not accepted. Accepted: PNG, WEBP.$"):
            open_image(encoded(picture(), fmt))


def test_a_format_that_nobody_decodes_is_a_mistake_in_the_settings(use_settings: Any) -> None:
    use_settings(IMAGE_FORMATS=("PNG", "EPS"))
    with pytest.raises(ImproperlyConfigured, match=r"unknown formats: EPS. Valid formats: JPEG, PNG, "):
        accepted_formats()


@pytest.fixture
def no_heif(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    formats._decodable.cache_clear()
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    yield
    formats._decodable.cache_clear()


def test_heic_without_its_extra_names_what_to_install(no_heif: None) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 60
    with pytest.raises(FormatNotAllowed, match=r'pip install "django-visualsearch\[heif\]"'):
        open_image(heic)
    assert "HEIF" not in accepted_formats()
    with pytest.raises(FormatNotAllowed) as refusal:
        open_image(SVG)
    assert "HEIF" not in str(refusal.value)


def test_heic_that_the_settings_leave_out(use_settings: Any, no_heif: None) -> None:
    use_settings(IMAGE_FORMATS=("PNG",))
    with pytest.raises(FormatNotAllowed, match=r"^HEIF files are not accepted. Accepted: PNG.$"):
        open_image(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + b"\0" * 60)


@pytest.mark.parametrize("size", [(15, 300), (300, 15), (1, 1)])
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_too_small(fmt: str, size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooSmall) as refusal:
        open_image(encoded(Image.new("RGB", size), fmt))
    assert str(refusal.value) == f"The image is {size[0]} x {size[1]} pixels; each side must have at least 16."
    assert refusal.value.code == "image_too_small"


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_too_many_pixels_and_just_enough(fmt: str, use_settings: Any) -> None:
    data = encoded(picture("RGB", (120, 100)), fmt)
    use_settings(MAX_PIXELS=12_000, MAX_JPEG_PIXELS=12_000, MIN_SIDE=100)
    assert open_image(data).size == (120, 100)
    use_settings(MAX_PIXELS=11_999, MAX_JPEG_PIXELS=11_999)
    with pytest.raises(TooManyPixels, match=r"^The image is 120 x 100 pixels") as refusal:
        open_image(data)
    assert refusal.value.code == "too_many_pixels"


def test_jpeg_has_a_limit_of_its_own_unless_progressive(use_settings: Any) -> None:
    use_settings(MAX_PIXELS=1_000_000, MAX_JPEG_PIXELS=2_000_000)
    large = picture("RGB", (1500, 1200))
    assert min(open_image(encoded(large, "JPEG"), side=100).size) >= 100
    with pytest.raises(TooManyPixels, match=r"1.8 megapixels; progressive JPEGs may have at most 1 megapixels"):
        open_image(encoded(large, "JPEG", progressive=True), side=100)
    with pytest.raises(TooManyPixels):  # no scale is both large enough and within the limit
        open_image(encoded(large, "JPEG"), side=1000)


def test_long_and_narrow_jpeg_is_decoded_at_a_smaller_scale(use_settings: Any) -> None:
    use_settings(MAX_PIXELS=200_000, MAX_JPEG_PIXELS=2_000_000)
    assert open_image(encoded(picture("RGB", (2000, 300)), "JPEG"), side=150).size == (1000, 150)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("AVIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("HEIF", {}),
    ],
)
def test_cut_in_the_middle(fmt: str, options: dict[str, Any], part: float) -> None:
    if fmt == "HEIF":
        pytest.importorskip("pillow_heif", reason="the extra [heif] is not installed")
    data = encoded(busy(), fmt, **options)
    length = int(len(data) * part)
    with pytest.raises(TruncatedImage, match=f"incomplete or damaged: its {length} bytes") as refusal:
        open_image(data[:length])
    assert refusal.value.code == "truncated_image"


@pytest.mark.parametrize("name", files())
def test_cut_anywhere(name: str) -> None:
    data = files()[name]
    for length in {*range(40), *range(40, len(data), max(1, len(data) // 25)), len(data) - 1}:
        assert outcome(data[:length]) in ("RGB", "not_an_image", "truncated_image")


def test_kinds_that_pillow_does_not_decode() -> None:
    twelve_bits = bytearray(encoded(picture(), "JPEG"))
    twelve_bits[twelve_bits.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(FormatNotAllowed, match="12 bits a channel"):
        open_image(bytes(twelve_bits))
    with pytest.raises(FormatNotAllowed, match="compression 34925"):
        open_image(encoded(picture(), "TIFF", compression="lzma"))


def test_no_memory_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr("visualsearch.images.decoding.reduced_rgb", exhausted)
    with pytest.raises(TooManyPixels, match="not enough memory to decode this PNG"):
        open_image(encoded(picture(), "PNG"))


def test_junk_between_and_after_segments_is_passed_over() -> None:
    data = encoded(busy(), "JPEG")
    untouched = open_image(data).tobytes()
    assert open_image(data + os.urandom(500)).tobytes() == untouched
    assert open_image(data[:2] + b"\xff\xff\xff" + data[2:]).tobytes() == untouched
    assert open_image(with_segment(data, 0xFE, b"a comment \xff\xd9\xff\xda")).tobytes() == untouched


def test_file_too_large(use_settings: Any) -> None:
    data = encoded(picture(), "PNG")
    use_settings(MAX_BYTES=len(data))
    assert open_image(data).size == open_image(io.BytesIO(data)).size
    for source in (data + b"\0", io.BytesIO(data + b"\0")):
        with pytest.raises(FileTooLarge, match=f"{len(data)}|MB") as refusal:
            open_image(source)
        assert refusal.value.code == "file_too_large"
    with pytest.raises(FileTooLarge):
        open_image(data, max_bytes=len(data) - 1)


class Endless(io.RawIOBase):
    """A file that gives 1000 bytes at a time and never ends, as a broken storage or a socket might."""

    given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self.given += min(size, 1000)
        return b"x" * min(size, 1000)


def test_reading_stops_one_byte_after_the_limit() -> None:
    file = Endless()
    with pytest.raises(FileTooLarge, match="larger than 1 MB"):
        read_limited(file, limit=1024**2)
    assert file.given == 1024**2 + 1


def test_reading_starts_at_the_start_and_takes_any_file() -> None:
    data = encoded(picture(), "PNG")
    used = io.BytesIO(data)
    used.read()
    for file in (used, ContentFile(data), SimpleUploadedFile("a.png", data)):
        assert read_limited(file) == data
        assert read_limited(file) == data  # and again
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(data)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        assert open_image(pipe).size == (96, 72)
    assert read_limited(io.BytesIO(b"")) == b""
    assert read_limited(io.BytesIO(data), limit=len(data)) == data


def test_a_fault_of_the_storage_is_no_fault_of_the_image() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("connection reset")

    with pytest.raises(OSError, match="connection reset"):
        open_image(Broken(b""))


def test_content_hash_is_sha256_of_the_file() -> None:
    assert content_hash(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_other_bytes_are_taken_too() -> None:
    data = encoded(picture(), "PNG")
    assert open_image(bytearray(data)).tobytes() == open_image(memoryview(data)).tobytes() == open_image(data).tobytes()


def test_png_without_pixels() -> None:
    with pytest.raises(TruncatedImage):
        open_image(png((20, 20), 8, 2, b""))
    header_only = png((20, 20), 8, 2, b"")[:33]
    with pytest.raises(TruncatedImage):
        open_image(header_only + struct.pack(">I", 0) + b"IEND\xaeB`\x82")
