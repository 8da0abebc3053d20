"""Weights stored as int8: a quarter of the file, nearly the same embeddings, a fingerprint of their own."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from PIL import Image

from tests.encoders.built import ensure_built
from tests.encoders.pictures import drawn
from visualsearch.encoders.head import EncoderFile
from visualsearch.encoders.int8 import int8_weights, quantised
from visualsearch.encoders.keras_zoo import export
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.encoders.model_file import ModelFile
from visualsearch.exceptions import EncoderError

COMPACT = MobileNetV2Compact.description


def encoder(weights: Path | None) -> MobileNetV2Compact:
    return MobileNetV2Compact(ModelFile(COMPACT, weights))


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("visualsearch_encoder", *arguments, stdout=out)
    return out.getvalue()


def test_a_kernel_is_right_to_half_a_step_of_its_channel() -> None:
    kernel = np.random.default_rng(0).normal(0, 1, (5, 3, 3, 7)).astype(np.float32)
    kernel *= np.array([1e-4, 1, 30, 0.1, 5], dtype=np.float32)[:, None, None, None]
    kernel[3] = 0
    for axis in (0, 3):
        numbers, scales = quantised(kernel, axis)
        assert (numbers.dtype, numbers.shape, scales.shape) == (np.int8, kernel.shape, (kernel.shape[axis],))
        steps = np.expand_dims(scales, [number for number in range(4) if number != axis])
        assert (np.abs(numbers * steps - kernel) <= steps * 0.5001).all()
        assert np.abs(numbers).max() == 127
    assert not quantised(kernel, 0)[0][3].any()


@pytest.mark.parametrize("stored", ["float32", "float16"])
def test_a_quarter_of_the_file_and_nearly_the_same_embeddings(tmp_path: Path, stored: str) -> None:
    source = encoder(ensure_built("mobilenet_v2_compact") if stored == "float32" else None).file.built_path()
    small = tmp_path / "small.tflite"
    small.write_bytes(int8_weights(source.read_bytes()))
    assert small.stat().st_size < {"float32": 0.40, "float16": 0.75}[stored] * source.stat().st_size
    before, after = encoder(source), encoder(small)
    assert before.fingerprint != after.fingerprint
    cosines = (before.encode(drawn(12)) * after.encode(drawn(12))).sum(axis=1)
    assert 0.99 < cosines.min() < 0.999999


def test_the_command_needs_no_tensorflow_for_a_tflite_file(tmp_path: Path, monkeypatch: Any, use_settings: Any) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    use_settings(ENCODER="mobilenet_v2_compact")
    target = tmp_path / "small.tflite"
    printed = command("build", "mobilenet_v2_compact", "--int8", "--output", str(target))
    assert f"fingerprint  {encoder(target).fingerprint}" in printed
    assert f'set ENCODER to "mobilenet_v2_compact" and WEIGHTS to "{target}"' in printed
    assert encoder(target).fingerprint != encoder(None).fingerprint


def test_int8_of_int8(tmp_path: Path) -> None:
    small = tmp_path / "small.tflite"
    export(ModelFile(COMPACT, None), small, int8=True)
    with pytest.raises(EncoderError, match="no convolutions with float weights; they may be int8 already"):
        export(ModelFile(COMPACT, small), tmp_path / "smaller.tflite", int8=True)
    assert not (tmp_path / "smaller.tflite").exists()


def test_what_is_no_model() -> None:
    with pytest.raises(EncoderError, match=r"This is no \.tflite model"):
        int8_weights(b"not a model" * 9)


def test_a_finetuned_file_is_refused(tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.tflite"
    described = EncoderFile("mobilenet_v2_compact", 1280, None, {})
    tuned.write_bytes(described.appended_to(encoder(None).file.built_path().read_bytes()))
    with pytest.raises(EncoderError, match=r"was finetuned.*; make an int8 file of the weights it started from"):
        export(ModelFile(COMPACT, tuned), tmp_path / "small.tflite", int8=True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"int8": True, "target": None}, "An int8 export needs a target file"),
        ({"int8": True, "float16": True}, "is float16 or int8"),
        ({"calibration": [np.zeros((224, 224, 3), np.uint8)]}, "pictures to calibrate with are for int8 alone"),
    ],
)
def test_exports_that_make_no_sense(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(EncoderError, match=reason):
        export(ModelFile(COMPACT, None), **{"target": tmp_path / "small.tflite", **options})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--int8"], "--int8 needs --output FILE"),
        (["--int8", "--float16", "--output", "a.tflite"], "not allowed with argument"),
        (["--float16", "--calibrate", ".", "--output", "a.tflite"], "--calibrate is for --int8 alone."),
        (["--int8", "--calibrate", "/absent", "--output", "a.tflite"], "There is no folder /absent."),
        (["--int8", "--calibrate", "{empty}", "--output", "a.tflite"], "has no pictures that can be read."),
    ],
)
def test_arguments_that_are_wrong(tmp_path: Path, arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError) as caught:
        command("build", "mobilenet_v2_compact", *(part.format(empty=tmp_path) for part in arguments))
    assert reason in str(caught.value)


def test_pictures_to_calibrate_with_are_spread_and_the_unreadable_named(tmp_path: Path, monkeypatch: Any) -> None:
    from visualsearch.encoders import keras_zoo

    given: list[Any] = []
    monkeypatch.setattr(keras_zoo, "build_model", lambda file: None)
    monkeypatch.setattr(keras_zoo, "converted", lambda model, **options: given.append(options) or b"")
    monkeypatch.setattr("visualsearch.management.commands.visualsearch_encoder._speed", lambda encoder: "")
    (tmp_path / "pictures" / "inner").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (300, 200), (number, 0, 0)).save(tmp_path / "pictures" / "inner" / f"{number}.png")
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    errors = io.StringIO()
    target = str(tmp_path / "full.tflite")
    arguments = ["--int8", "--calibrate", str(tmp_path / "pictures"), "--output", target]
    call_command(
        "visualsearch_encoder",
        *["build", "mobilenet_v2_compact", "--weights", "random", *arguments],
        stdout=io.StringIO(),
        stderr=errors,
    )
    assert [pixels[0, 0, 0] for pixels in given[0]["calibration"]] == [0, 1, 2]
    assert "broken.jpg" in errors.getvalue()
    assert not given[0]["float16"]
