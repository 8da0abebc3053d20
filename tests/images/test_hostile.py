"""Bombs, noise and threads: every file gives a picture or a refusal, and nothing else."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from tests.images.hostile import HOSTILE, made, mutated
from tests.images.samples import encoded, files, picture
from tests.images.test_refusals import outcome
from visualsearch.images import open_image

pytestmark = pytest.mark.filterwarnings("error")
ROOT = Path(__file__).resolve().parent.parent.parent

# Reads files in a process of its own, which has decoded one of each format before, and says for each what became of
# it, and how much the highest memory use so far has grown.
MEASURE = """
import json, sys, warnings
warnings.simplefilter("error")
from pathlib import Path
from django.conf import settings
settings.configure()
from visualsearch.exceptions import ImageRefused
from visualsearch.images import open_image
from tests.memory import peak

warm, *paths = map(Path, sys.argv[1:])
for path in warm.iterdir():
    open_image(path.read_bytes())
held = [path.read_bytes() for path in paths]
largest = b" " * (3 * max(map(len, held)))  # that a file is copied makes it no bomb
del largest
before = peak()
for path, data in zip(paths, held):
    try:
        result = open_image(data).size
    except ImageRefused as refusal:
        result = refusal.code
    print(json.dumps([path.name, result, peak() - before]))
"""


def measured(folder: Path, paths: list[Path]) -> list[tuple[str, object, float]]:
    """Name, outcome and growth of peak memory in MB for each file."""
    warm = folder / "warm"
    warm.mkdir()
    for name, data in files().items():
        (warm / name.replace(" ", "-")).write_bytes(data)
    process = subprocess.run(
        [sys.executable, "-c", MEASURE, warm, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return [json.loads(line) for line in process.stdout.splitlines()]


def test_bombs_cost_no_memory(tmp_path: Path) -> None:
    paths = []
    for make in HOSTILE:
        paths.append(tmp_path / make.__name__)
        paths[-1].write_bytes(made(make))
    rows = measured(tmp_path, paths)
    expected = {make.__name__: list(end) if isinstance(end, tuple) else end for make, end in HOSTILE.items()}
    assert {name: result for name, result, _ in rows} == expected
    assert [(name, grown) for name, _, grown in rows if grown > 24] == []


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_bombs_cost_no_time(make: Callable[[], bytes]) -> None:
    data = made(make)
    start = time.process_time()
    outcome(data)
    assert time.process_time() - start < 5  # the longest takes 0.3 s


def test_200_megapixels_of_jpeg_are_decoded_in_the_memory_of_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("L", (16_000, 12_500), 90).save(path, quality=50)
    [(_, size, grown)] = measured(tmp_path, [path])
    assert size == [667, 521]
    assert grown < 40  # at full size it would be 200, in colour 800


CODES = {"not_an_image", "truncated_image", "too_many_pixels", "image_too_small", "format_not_allowed"}


def test_mutated_files(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rng = random.Random(20260727)
    ends = []
    for name, data in files().items():
        for _ in range(14):
            end = outcome(mutated(data, rng))
            assert end in CODES | {"RGB"}, name
            ends.append(end)
    assert len(ends) > 500
    assert ends.count("RGB") > 50
    assert ends.count("truncated_image") > 50
    assert capfd.readouterr() == ("", "")  # libtiff, libjpeg, libavif and libheif write there if let
    assert caplog.records == []


def test_random_bytes_after_every_signature() -> None:
    rng = random.Random(5)
    for data in files().values():
        for kept in (4, 12, 16, 30):
            assert outcome(data[:kept] + rng.randbytes(400)) in CODES | {"RGB"}


def test_threads_at_once() -> None:
    alone = {name: open_image(data).tobytes() for name, data in files().items()}
    jobs = [*files()] * 6
    random.Random(1).shuffle(jobs)
    with ThreadPoolExecutor(max_workers=12) as pool:
        together = list(pool.map(lambda name: open_image(files()[name]).tobytes(), jobs))
    assert all(result == alone[name] for name, result in zip(jobs, together, strict=True))


def test_globals_are_left_alone() -> None:
    def state() -> tuple[object, ...]:
        return (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters), dict(Image.OPEN))

    open_image(encoded(picture(), "PNG"))
    before = state()
    for data in files().values():
        outcome(data)
        outcome(data[:-9])
    assert state() == before


def test_the_limit_of_pillow_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    for name, data in files().items():
        if name.startswith(("jpeg", "png", "bmp")):
            assert open_image(data).mode == "RGB"
