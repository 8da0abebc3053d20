"""Pictures come out the way a person holds them, at the size that was asked for."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.samples import busy, encoded, exif, picture, tiff, with_segment
from tests.images.test_modes import difference
from visualsearch.images import open_image
from visualsearch.images.directory import exif_orientation

pytestmark = pytest.mark.filterwarnings("error")
T = Image.Transpose
# How the pixels of an upright picture lie in a file with this orientation (EXIF 2.32, table of tag 274).
STORED = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE}
STORED |= {6: T.ROTATE_90, 7: T.TRANSVERSE, 8: T.ROTATE_270}


def stored(orientation: int) -> Image.Image:
    return picture().transpose(STORED[orientation]) if orientation in STORED else picture()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_exif_orientation(fmt: str, orientation: int) -> None:
    if fmt == "HEIF":
        pytest.importorskip("pillow_heif", reason="the extra [heif] is not installed")
    quality = {} if fmt in ("PNG", "TIFF") else {"quality": 92}
    data = encoded(stored(orientation), fmt, exif=exif(orientation), **quality)
    assert difference(open_image(data), picture()) < 5


def test_orientation_after_reducing() -> None:
    tall = picture("RGB", (1200, 900)).transpose(T.ROTATE_90)
    for fmt in ("JPEG", "PNG"):
        result = open_image(encoded(tall, fmt, exif=exif(6)), side=100)
        assert difference(result, picture("RGB", (1200, 900)).resize(result.size, Image.Resampling.BOX)) < 3


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_both_byte_orders(order: str, prefix: bytes) -> None:
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    block = prefix + head + struct.pack(order + "HHHIHHI", 1, 274, 3, 1, 8, 0, 0)
    assert exif_orientation(block) == 8
    assert [exif_orientation(block[:length]) for length in range(len(block) - 4)] == [1] * (len(block) - 4)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_that_does_not_exist_leaves_the_picture_as_it_is(value: int) -> None:
    data = encoded(picture(), "JPEG", exif=exif(1))
    assert b"\x12\x01\x03\x00\x01\x00\x00\x00\x01" in data or b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x01" in data
    big = b"\x01\x12\x00\x03\x00\x00\x00\x01"
    changed = data.replace(big + b"\0\x01", big + struct.pack(">H", value))
    little = b"\x12\x01\x03\x00\x01\x00\x00\x00"
    changed = changed.replace(little + b"\x01\0", little + struct.pack("<H", value))
    assert changed != data
    assert difference(open_image(changed), open_image(data)) == 0


def test_damaged_exif_does_not_refuse_a_picture() -> None:
    data = encoded(picture(), "JPEG")
    for block in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 40, b"\0" * 60):
        assert difference(open_image(with_segment(data, 0xE1, b"Exif\0\0" + block)), open_image(data)) == 0


def test_tiff_with_a_count_of_orientations() -> None:
    pixels = picture("L").tobytes()
    tags = [(256, 3, 1, 96), (257, 3, 1, 72), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(278, 3, 1, 72), (279, 4, 1, len(pixels)), (274, 3, 2, 0x00010003)]
    upside_down = open_image(tiff(tags, pixels)).transpose(T.ROTATE_180)
    assert difference(upside_down, picture("L").convert("RGB")) == 0


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("side", [16, 50, 100, 224])
@pytest.mark.parametrize("size", [(900, 601), (300, 1400), (448, 448), (60, 70)])
def test_both_sides_are_as_long_as_asked(fmt: str, side: int, size: tuple[int, int]) -> None:
    result = open_image(encoded(picture("RGB", size), fmt), side=side)
    assert min(result.size) >= min(side, *size)
    assert min(result.size) <= max(4 * side, min(size) // 8 + 1) or min(size) < 4 * side
    assert abs(result.width * size[1] - result.height * size[0]) <= 2 * max(size)


def test_side_of_nothing_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="side must be at least 1"):
        open_image(encoded(picture(), "JPEG"), side=0)


def _model_input(image: Image.Image, side: int) -> np.ndarray:
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), np.float32)


@pytest.mark.parametrize("side", [25, 50, 100])
def test_reduced_decoding_gives_a_model_the_same_pixels(clothing: list[Path], side: int) -> None:
    """What an encoder sees of a photograph decoded at 1/8 (25), 1/4 (50) or 1/2 (100) scale, against the whole."""
    differences = []
    for path in clothing[::12]:
        data = path.read_bytes()
        with Image.open(path) as whole:
            full = _model_input(whole.convert("RGB"), side)
        reduced = open_image(data, side=side)
        assert max(reduced.size) < 534
        differences.append(np.abs(_model_input(reduced, side) - full).mean())
    assert np.mean(differences) < 1.5  # of 255 grey levels
    assert np.max(differences) < 6


def test_phone_photograph_of_12_megapixels() -> None:
    data = encoded(busy((200, 150)).resize((4000, 3000)), "JPEG", quality=90)
    assert open_image(data).size == (1000, 750)


def test_real_photographs_are_pillows_own_pixels(clothing: list[Path]) -> None:
    for path in clothing[::20]:
        with Image.open(path) as image:
            assert difference(open_image(path.read_bytes()), image.convert("RGB")) == 0
