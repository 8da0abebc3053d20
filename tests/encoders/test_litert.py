"""One interpreter a process: right under threads, alive after a fork, clear about a file that is no model."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.encoders.pictures import drawn
from visualsearch.encoders import get_encoder
from visualsearch.encoders.litert import LiteRTRuntime
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.encoders.model_file import ModelDescription, ModelFile
from visualsearch.exceptions import EncoderError, InvalidWeights

COMPACT = MobileNetV2Compact.description
fork = multiprocessing.get_context("fork")


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a forked child answers; fails where it hangs, or does not end by itself with status 0."""
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=lambda: sender.send(function(*arguments)))
    child.start()
    answered = receiver.poll(60)
    child.join(20)
    if child.is_alive():
        child.kill()
        pytest.fail(f"the child hangs, {'after' if answered else 'before'} its answer")
    assert child.exitcode == 0
    return receiver.recv()


def test_rows_are_of_unit_length_whatever_the_number(real: Path) -> None:
    encoder, pictures = get_encoder(), drawn(17)
    whole = encoder.encode(pictures)
    assert whole.dtype == np.float32
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    for count in (0, 1, 7, 8, 9):
        assert np.array_equal(encoder.encode(pictures[:count]), whole[:count])


def test_the_same_picture_at_another_size_is_near(real: Path) -> None:
    small, large = get_encoder().encode([drawn(4, (300, 400))[3], drawn(4, (1500, 2000))[3]])
    assert small @ large > 0.98


def test_only_rgb(real: Path) -> None:
    with pytest.raises(EncoderError, match="an image of mode L; it takes RGB"):
        get_encoder().encode([Image.new("L", (300, 300))])


def test_eight_threads_at_once(real: Path, settings: Any) -> None:
    pictures = drawn(16)
    expected = get_encoder().encode(pictures)
    settings.VISUALSEARCH = {**settings.VISUALSEARCH}  # a new instance, not loaded yet
    barrier = threading.Barrier(8)

    def encode(offset: int) -> bool:
        barrier.wait()
        for turn in range(6):
            start = (offset + turn) % 8
            if not np.array_equal(get_encoder().encode(pictures[start : start + 8]), expected[start : start + 8]):
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(encode, range(8))) == [True] * 8


def test_a_child_of_a_process_that_has_encoded(real: Path) -> None:
    pictures = drawn(3)
    expected = get_encoder().encode(pictures)
    for _ in range(3):
        assert np.array_equal(in_child(get_encoder().encode, pictures), expected)
    assert np.array_equal(get_encoder().encode(pictures), expected)


def test_a_grandchild(real: Path) -> None:
    pictures = drawn(2)
    expected = get_encoder().encode(pictures)
    first, second = in_child(lambda: (get_encoder().encode(pictures), in_child(get_encoder().encode, pictures)))
    assert np.array_equal(first, expected)
    assert np.array_equal(second, expected)


def test_a_fork_while_other_threads_encode(real: Path) -> None:
    pictures = drawn(8)
    expected = get_encoder().encode(pictures)
    stop = threading.Event()

    def keep_encoding() -> None:
        while not stop.is_set():
            get_encoder().encode(pictures)

    threads = [threading.Thread(target=keep_encoding) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8):
            assert np.array_equal(in_child(get_encoder().encode, pictures[:2]), expected[:2])
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_child_that_ends_as_an_interpreter_does(real: Path) -> None:
    """``sys.exit`` runs what ``os._exit`` leaves out: the destructors, also of what the parent had loaded."""
    from tests.encoders.built import run_python

    code = """
import os, sys
from django.conf import settings
settings.configure(VISUALSEARCH={"ENCODER": "mobilenet_v2_compact", "WEIGHTS": sys.argv[1]})
from PIL import Image
from visualsearch.encoders import get_encoder
pictures = [Image.new("RGB", (300, 200), "red")]
get_encoder().encode(pictures)
if os.fork() == 0:
    get_encoder().encode(pictures)
    print("child", flush=True)
    sys.exit(0)
print("status", os.wait()[1])
"""
    assert run_python(code, str(real)).splitlines() == ["child", "status 0"]


@pytest.mark.parametrize("content", [b"", b"not a model" * 99, "cut", "without its start", "without its end"])
def test_a_damaged_file(real: Path, tmp_path: Path, content: Any) -> None:
    model = real.read_bytes()
    spoilt = {"cut": model[:800_000], "without its start": bytes(64) + model[64:]}
    spoilt["without its end"] = model[:-20_000] + bytes(20_000)
    file = tmp_path / "damaged.tflite"
    file.write_bytes(content if isinstance(content, bytes) else spoilt[content])
    with pytest.raises(EncoderError) as caught:
        MobileNetV2Compact(ModelFile(COMPACT, file)).encode(drawn(1))
    assert str(caught.value) == f"{file} is damaged or no LiteRT model; build or install it again."


def test_a_model_of_another_kind(real: Path) -> None:
    other = ModelDescription("other", width=0.35, side=192, dimensions=1000)
    with pytest.raises(InvalidWeights) as caught:
        LiteRTRuntime(real, other, threads=1).run([np.zeros((192, 192, 3), np.uint8)])
    assert str(caught.value) == (
        f"{real} does not fit other: its tensors are float32 (1, 224, 224, 3) and float32 (1, 1280), "
        "expected float32 (1, 192, 192, 3) and float32 (1, 1000)."
    )


def test_a_failed_load_is_tried_again(real: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"half")
    encoder = MobileNetV2Compact(ModelFile(COMPACT, file))
    with pytest.raises(EncoderError):
        encoder.encode(drawn(1))
    (tmp_path / "whole").write_bytes(real.read_bytes())
    (tmp_path / "whole").replace(file)
    assert encoder.encode(drawn(1)).shape == (1, 1280)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_number_of_threads_changes_nothing(real: Path, threads: int) -> None:
    pixels = [MobileNetV2Compact(ModelFile(COMPACT, real)).pixels(picture) for picture in drawn(2)]
    one = LiteRTRuntime(real, COMPACT, threads=1).run(pixels)
    assert np.abs(LiteRTRuntime(real, COMPACT, threads=threads).run(pixels) - one).max() < 1e-5
