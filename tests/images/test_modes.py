"""Whatever mode a picture has, it comes out as the RGB picture that a person sees."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.images.samples import CORNERS, SIZE, busy, chunk, encoded, files, picture, png, tiff
from visualsearch.images import open_image
from visualsearch.images.colour import reduced_rgb, to_rgb

pytestmark = pytest.mark.filterwarnings("error")
MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"]
MODES += ["I;16", "I;16B", "I", "F"]
GREY_MODES = {"1", "L", "LA", "La", "I;16", "I;16B", "I", "F"}


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of grey levels, over all channels."""
    assert one.size == other.size
    assert (one.mode, other.mode) == ("RGB", "RGB")
    return float(np.abs(np.asarray(one, np.float32) - np.asarray(other, np.float32)).mean())


def as_seen(mode: str) -> Image.Image:
    """The test picture as it must come out of a file of this mode."""
    if mode in GREY_MODES:
        return picture("1" if mode == "1" else "L").convert("RGB")
    return picture()


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow_becomes_rgb(mode: str) -> None:
    assert picture(mode).mode == mode
    assert difference(to_rgb(picture(mode)), as_seen(mode)) < 2  # YCbCr itself loses 1.6


@pytest.mark.parametrize("name", files())
def test_every_kind_of_file_is_read(name: str) -> None:
    result = open_image(files()[name])
    mode = name.split()[-1]
    expected = as_seen("1" if mode == "group4" else mode)
    if name == "jpeg progressive":
        expected = expected.transpose(Image.Transpose.ROTATE_270)
    assert type(result.info) is dict
    assert not result.info
    assert difference(result, expected) < (12 if name == "gif animated" else 4)


def test_heif_is_tested(request: pytest.FixtureRequest) -> None:
    pytest.importorskip("pillow_heif", reason="the extra [heif] is not installed")
    assert "heif RGB" in files()


def test_adobe_cmyk_is_not_a_negative() -> None:
    data = encoded(Image.new("CMYK", SIZE, (0, 0, 0, 0)), "JPEG")
    assert b"Adobe" in data
    assert open_image(data).getpixel((5, 5)) == (255, 255, 255)
    cyan = open_image(encoded(Image.new("CMYK", SIZE, (255, 0, 0, 0)), "JPEG", quality=95)).getpixel((5, 5))
    assert isinstance(cyan, tuple)
    assert cyan[0] < 10
    assert min(cyan[1:]) > 245


@pytest.mark.parametrize("fmt", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_transparency_is_white_paper(fmt: str) -> None:
    image = picture("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    result = open_image(encoded(image, fmt, **({"lossless": True} if fmt == "WEBP" else {})))
    alpha = np.asarray(image.getchannel("A"), np.float32)[..., None] / 255
    expected = np.asarray(picture(), np.float32) * alpha + 255 * (1 - alpha)
    assert np.abs(np.asarray(result, np.float32) - expected).mean() < (3 if fmt == "AVIF" else 1)
    assert min(result.getpixel((3, 0))) > 245


def _transparent_palette() -> bytes:
    image = picture("P")
    corner = image.getpixel((2, 2))
    return encoded(image, "PNG", transparency=bytes(0 if entry == corner else 255 for entry in range(256)))


def _rows(values: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)


def _colour_key_of_16_bits() -> bytes:
    values = np.full((72, 96 * 3), 20_000)
    values[:10] = 51_234
    return png(SIZE, 16, 2, _rows(values), chunk(b"tRNS", struct.pack(">HHH", 51_234, 51_234, 51_234)))


def _grey_key_of_16_bits() -> bytes:
    values = np.full((72, 96), 20_000)
    values[:10] = 3
    return png(SIZE, 16, 0, _rows(values), chunk(b"tRNS", struct.pack(">H", 3)))


@pytest.mark.parametrize(
    "make",
    [
        _transparent_palette,
        _colour_key_of_16_bits,
        _grey_key_of_16_bits,
        lambda: encoded(picture("P"), "PNG", transparency=picture("P").getpixel((2, 2))),
        lambda: encoded(picture("P"), "GIF", transparency=picture("P").getpixel((2, 2))),
        lambda: encoded(picture("L"), "PNG", transparency=picture("L").getpixel((2, 2))),
        lambda: encoded(picture(), "PNG", transparency=CORNERS[0]),
        lambda: encoded(picture("LA"), "PNG"),
    ],
    ids=["palette", "16-bit colour", "16-bit grey", "one of a palette", "gif", "grey", "colour", "opaque"],
)
def test_transparent_colours_are_white_paper(make: Callable[[], bytes], request: pytest.FixtureRequest) -> None:
    result = open_image(make())
    corner = result.getpixel((2, 2))
    assert (corner == (255, 255, 255)) is ("opaque" not in request.node.name)
    assert result.getpixel((90, 68)) != (255, 255, 255)


def test_grey_of_16_bits_is_scaled_not_clipped() -> None:
    slope = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (32, 1))
    for data in (
        encoded(Image.fromarray(slope), "PNG"),
        encoded(Image.fromarray(slope), "TIFF"),
        encoded(Image.fromarray(slope.astype(">u2")), "TIFF"),
        encoded(Image.fromarray(slope.astype(np.int32)), "TIFF"),
        encoded(Image.fromarray(slope.astype(np.float32)), "TIFF"),
    ):
        levels = np.asarray(open_image(data))[5, :, 1].astype(int)
        assert np.abs(levels - np.arange(256)).max() <= 1


def test_colour_of_16_bits_is_scaled() -> None:
    row = np.stack([np.linspace(0, 65535, 64), np.full(64, 32768), np.linspace(65535, 0, 64)], axis=1)
    result = np.asarray(open_image(png((64, 20), 16, 2, _rows(np.tile(row.reshape(1, -1), (20, 1))))))
    assert np.abs(result[3].astype(float) - row / 257).max() <= 1.5


@pytest.mark.parametrize(("low", "high", "black", "white"), [(0, 1, 0, 255), (0, 255, 0, 255), (-40, 700, 0, 255)])
def test_floating_point_finds_its_white(low: float, high: float, black: int, white: int) -> None:
    values = np.tile(np.linspace(low, high, 64, dtype=np.float32), (20, 1))
    result = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))
    assert (result[0, 0, 0], result[0, -1, 0]) == (black, white)
    assert abs(int(result[0, 32, 0]) - 128) <= 3


def test_numbers_that_are_none_are_black_and_harm_nobody() -> None:
    values = np.full((20, 20), 0.5, dtype=np.float32)
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -np.inf
    result = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))
    assert [result[0, column, 0] for column in range(4)] == [0, 255, 0, 128]
    nothing = Image.fromarray(np.full((20, 20), np.nan, dtype=np.float32))
    assert not np.asarray(open_image(encoded(nothing, "TIFF"))).any()


def test_first_frame_of_a_film_of_which_frames_cover_a_part() -> None:
    frames = [picture(), picture().rotate(180), busy(SIZE)]
    for fmt in ("GIF", "WEBP", "PNG", "AVIF"):
        data = encoded(frames[0], fmt, save_all=True, append_images=frames[1:], duration=40)
        assert difference(open_image(data), picture()) < 12


def test_film_whose_default_picture_is_not_a_frame() -> None:
    data = encoded(picture(), "PNG", save_all=True, append_images=[busy(SIZE)] * 2, default_image=True)
    assert b"acTL" in data
    assert difference(open_image(data), picture()) == 0


def test_gif_frame_smaller_than_its_screen() -> None:
    data = bytearray(encoded(picture("P"), "GIF"))
    data[6:10] = struct.pack("<HH", 130, 100)
    result = open_image(bytes(data))
    assert result.size == (130, 100)
    assert difference(result.crop((0, 0, *SIZE)), picture()) < 12


def test_first_page_of_a_tiff() -> None:
    data = encoded(picture(), "TIFF", save_all=True, append_images=[busy()])
    assert difference(open_image(data), picture()) == 0


def test_tiff_in_tiles_and_in_planes() -> None:
    tile = 64
    image = busy((100, 80))
    padded = np.zeros((128, 128, 3), np.uint8)
    padded[:80, :100] = np.asarray(image)
    pieces = [padded[y : y + tile, x : x + tile].tobytes() for y in (0, 64) for x in (0, 64)]
    offsets = [8 + sum(map(len, pieces[:at])) for at in range(4)]
    far = 8 + sum(map(len, pieces))
    extra = struct.pack("<4I4I3H", *offsets, *map(len, pieces), 8, 8, 8)
    tags = [(256, 3, 1, 100), (257, 3, 1, 80), (258, 3, 3, far + 32), (259, 3, 1, 1), (262, 3, 1, 2), (277, 3, 1, 3)]
    tags += [(322, 3, 1, tile), (323, 3, 1, tile), (324, 4, 4, far), (325, 4, 4, far + 16)]
    assert difference(open_image(tiff(tags, b"".join(pieces) + extra)), image) == 0
    planes = np.asarray(image).transpose(2, 0, 1).tobytes()
    far = 8 + len(planes)
    extra = struct.pack("<3I3I3H", 8, 8 + 8000, 8 + 16000, 8000, 8000, 8000, 8, 8, 8)
    tags = [(256, 3, 1, 100), (257, 3, 1, 80), (258, 3, 3, far + 24), (259, 3, 1, 1), (262, 3, 1, 2), (277, 3, 1, 3)]
    tags += [(273, 4, 3, far), (279, 4, 3, far + 12), (284, 3, 1, 2), (278, 3, 1, 80)]
    assert difference(open_image(tiff(tags, planes + extra)), image) == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I", "F"])
def test_large_pictures_are_reduced_in_bands(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture(mode, (500, 403))
    whole = to_rgb(image).reduce(3)
    monkeypatch.setattr("visualsearch.images.colour._BAND_PIXELS", 500 * 10)
    reduced = reduced_rgb(image, 3)
    assert reduced.size == (167, 135)
    assert difference(reduced, whole) < 0.5


def test_stored_pixels_are_untouched_by_leaving_metadata_out() -> None:
    noise = busy()
    for fmt in ("PNG", "BMP", "TIFF"):
        assert difference(open_image(encoded(noise, fmt)), noise) == 0
    wordy = encoded(noise, "PNG")
    wordy = wordy[:33] + chunk(b"tEXt", b"Comment\0hello") + chunk(b"zTXt", b"x\0\0" + zlib.compress(b"y")) + wordy[33:]
    assert difference(open_image(wordy), noise) == 0
