"""Memory over several threads: large pictures wait for each other, small ones for nobody."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from traceback import walk_tb

import pytest
from PIL import Image

from tests.images.hostile import HOSTILE, made
from tests.images.samples import encoded, exif, files, picture
from visualsearch.exceptions import TooManyPixels, TruncatedImage
from visualsearch.images import open_image, upright_size
from visualsearch.images.limits import UNCOUNTED, _Room

BALLAST = ("png_with_texts", "png_with_profile", "jpeg_with_padding", "jpeg_with_exif")  # before the picture itself
ROOT = Path(__file__).resolve().parent.parent.parent

AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from django.conf import settings
settings.configure()
from tests.memory import peak
from visualsearch.images import open_image
data = Path(sys.argv[1]).read_bytes()
before = peak()
with ThreadPoolExecutor(4) as pool:
    assert len(list(pool.map(open_image, [data] * 4))) == 4
print(peak() - before)
"""


def test_four_threads_take_the_memory_of_one(tmp_path: Path) -> None:
    path = tmp_path / "large.webp"
    Image.new("RGB", (5000, 4000)).save(path, lossless=True, method=0, quality=0)
    process = subprocess.run(
        [sys.executable, "-c", AT_ONCE, path], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    assert float(process.stdout) < 600  # measured: 475, where four of them side by side would take 1,240


def test_a_kept_error_holds_no_picture() -> None:
    data = encoded(picture(size=(800, 600)), "PNG")
    with pytest.raises(TruncatedImage) as refused:
        open_image(data[: len(data) // 2])
    held = [
        value
        for error in (refused.value, refused.value.__cause__)
        for frame, _ in walk_tb(error.__traceback__ if error else None)
        for value in frame.f_locals.values()
        if isinstance(value, Image.Image)
    ]
    assert refused.value.__cause__ is not None
    assert held == []


def test_a_large_picture_waits_and_a_small_one_does_not() -> None:
    room, steps = _Room(100_000_000), []
    holding, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with room.entered():
            room.take(90_000_000)
            room.take(80_000_000)  # is in it already
            holding.set()
            leave.wait(10)
            steps.append("left")

    def ask(count: int) -> None:
        holding.wait(10)
        with room.entered():
            room.take(count)
            steps.append(f"took {count}")

    with ThreadPoolExecutor(3) as pool:
        first, large = pool.submit(hold), pool.submit(ask, 500_000_000)  # more than there is: alone, if at all
        pool.submit(ask, UNCOUNTED).result(10)
        assert not large.done()
        leave.set()
        first.result(10)
        large.result(10)
    assert steps == [f"took {UNCOUNTED}", "left", "took 500000000"]
    with room.entered():
        room.take(100_000_000)  # all of it is free again


def test_outside_of_decoding_nothing_is_taken() -> None:
    room = _Room(1)
    for _ in range(2):
        room.take(100_000_000)  # would wait for ever for the second


def test_webp_has_a_limit_of_its_own() -> None:
    data = bytearray(encoded(picture(), "WEBP", lossless=True))
    data[21:25] = (5000 - 1 | 4001 - 1 << 14).to_bytes(4, "little")
    with pytest.raises(TooManyPixels, match=r"20 megapixels; WebP images may have at most 20 megapixels"):
        open_image(bytes(data))


def test_upright_size_is_that_of_the_picture() -> None:
    for name, data in files().items():
        assert upright_size(data) == open_image(data).size, name
    turned = encoded(Image.new("RGB", (3000, 2000)), "JPEG", exif=exif(6))
    assert upright_size(turned) == (2000, 3000)
    assert open_image(turned).size == (500, 750)


def test_upright_size_reads_no_metadata() -> None:
    """Bombs in texts, profiles and padding, which Django's own function reads for half a minute or raises at."""
    for make, end in HOSTILE.items():
        if make.__name__.startswith(BALLAST) and not make.__name__.endswith("between_scans"):
            assert upright_size(made(make)) == end
