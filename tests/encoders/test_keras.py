"""What we run is what Keras computes, and what does not fit is refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from django.core.management.base import CommandError
from PIL import Image

from tests.encoders import keras_side
from tests.encoders.built import ensure_built, real_settings, real_weights
from tests.encoders.pictures import drawn
from visualsearch.encoders import encoder_class, get_encoder
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.encoders.model_file import ModelFile
from visualsearch.exceptions import EncoderError, InvalidWeights

# One process with TensorFlow for all of them, also when tests run in parallel.
pytestmark = [pytest.mark.slow]

Keras = Callable[..., Any]
CONV1 = "layers/conv2d/vars/0"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the compact model's real weights, to be spoilt."""
    return Path(shutil.copy(real_weights("mobilenet_v2_compact"), tmp_path / "copy.weights.h5"))


def as_the_model_sees(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(p.resize((224, 224), Image.Resampling.BILINEAR)) for p in pictures])


def test_output_is_kerass_own(keras: Keras, each_real: str, clothing: list[Path]) -> None:
    encoder = encoder_class(each_real)()
    pictures = [*drawn(10), *(Image.open(path).convert("RGB") for path in clothing[::40][:10])]
    weights = str(real_weights(each_real))
    theirs = keras(keras_side.keras_output, encoder.description.width, weights, as_the_model_sees(pictures))
    assert theirs.shape == (20, 1280)
    assert np.abs(encoder.embed(pictures) - theirs).max() < 1e-4
    unit = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    assert np.abs(encoder.encode(pictures) - unit).max() < 1e-5


def test_tensors_are_where_keras_saves_them(keras: Keras, tmp_path: Path) -> None:
    target = tmp_path / "saved.weights.h5"
    expected = keras(keras_side.saved_by_keras, str(target))
    found: dict[str, tuple[int, ...]] = {}
    with h5py.File(target) as file:
        file.visititems(lambda name, item: found.update({name: item.shape}) if hasattr(item, "shape") else None)
    assert found == expected
    assert len(found) == 260


def refusal(keras: Keras, path: Path, name: str = "mobilenet_v2_compact") -> str:
    with pytest.raises(InvalidWeights) as caught:
        keras(keras_side.load, name, str(path))
    message = str(caught.value)
    assert str(path) in message
    return message


def test_weights_of_another_width(keras: Keras) -> None:
    message = refusal(keras, real_weights("mobilenet_v2"))
    assert "does not fit mobilenet_v2_compact (width 0.35): Conv1/kernel is float32 (3, 3, 3, 32)" in message
    assert "expected float32 (3, 3, 3, 16)" in message
    assert message.endswith("more.")


def test_missing_and_foreign_tensors(keras: Keras, copied: Path) -> None:
    with h5py.File(copied, "r+") as file:
        del file[CONV1]
        file["layers/dense/vars/0"] = np.zeros(3)
    message = refusal(keras, copied)
    assert f"Conv1/kernel ({CONV1}) is missing" in message
    assert "layers/dense/vars/0 does not belong to it" in message


def test_values_that_are_no_weights(keras: Keras, copied: Path) -> None:
    with h5py.File(copied, "r+") as file:
        file[CONV1][0, 0, 0, 0] = np.nan
    assert "Conv1/kernel has values that are not finite" in refusal(keras, copied)
    with h5py.File(copied, "r+") as file:
        shape = file[CONV1].shape
        del file[CONV1]
        file[CONV1] = np.full(shape, b"no")
    assert "expected float32 (3, 3, 3, 16)" in refusal(keras, copied)


def test_files_that_hold_no_weights(keras: Keras, copied: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.weights.h5"
    text.write_text("not weights")
    assert "is not an HDF5 file" in refusal(keras, text)
    copied.write_bytes(copied.read_bytes()[:100_000])
    assert "is damaged" in refusal(keras, copied)
    assert "There is no weights file" in refusal(keras, tmp_path / "absent.weights.h5")


def test_an_exported_model_cannot_be_exported(keras: Keras) -> None:
    with pytest.raises(EncoderError, match=r"is an exported model; Keras needs imagenet, random or a \.weights\.h5"):
        keras(keras_side.load, "mobilenet_v2", str(ensure_built("mobilenet_v2")))


def test_imagenet_without_a_network(keras: Keras) -> None:
    with pytest.raises(EncoderError, match="could not fetch the ImageNet weights of mobilenet_v2: URL fetch failure"):
        keras(keras_side.load, "mobilenet_v2", "imagenet")


def test_random_weights_are_always_the_same(keras: Keras) -> None:
    first, second = (keras(keras_side.random_weights, "mobilenet_v2_compact") for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    kernels = [weights for weights in first if weights.ndim == 4]
    assert all(np.std(kernel) > 0 for kernel in kernels)


def test_tensorflow_as_the_runtime(keras: Keras) -> None:
    settings = real_settings("mobilenet_v2_compact")
    pictures = drawn(3)
    path = ensure_built("mobilenet_v2_compact")
    ours = MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, path)).encode(pictures)
    theirs = keras(keras_side.encode, {**settings, "RUNTIME": "tensorflow"}, pictures)
    assert np.abs(ours - theirs).max() < 1e-5
    answer = keras(keras_side.encode_in_a_fork, {**settings, "RUNTIME": "tensorflow"}, pictures)
    assert answer.startswith("EncoderError: TensorFlow was loaded before this process was forked")


def test_build_then_list_then_check(keras: Keras, tmp_path: Path) -> None:
    settings = {"MODEL_CACHE": tmp_path, "ENCODER": "mobilenet_v2_compact", "WEIGHTS": "random"}
    assert "has not been built from random yet" in keras(keras_side.command, settings, "list")
    printed = keras(keras_side.command, settings, "build", "mobilenet_v2_compact")
    (path,) = tmp_path.glob("*.tflite")
    file = ModelFile(MobileNetV2Compact.description, "random")
    assert path.name == f"mobilenet_v2_compact-{file.fingerprint[:16]}.tflite"
    assert f"file         {path} (1.6 MB)" in printed
    assert f"fingerprint  {file.fingerprint}" in printed
    assert "ms for one image" in printed
    assert "images/s in batches of 8" in printed
    assert "To use it" not in printed
    row = next(line for line in keras(keras_side.command, settings, "list").splitlines() if line.startswith("*"))
    assert row.split() == [
        "*", "mobilenet_v2_compact", "0.35", "1280", "random", file.fingerprint[:16], "yes", "1.6", "MB"
    ]  # fmt: skip
    (tmp_path / "pictures").mkdir()
    drawn(1)[0].save(tmp_path / "pictures" / "one.png")
    checked = keras(keras_side.command, settings, "check", "--images", str(tmp_path / "pictures"))
    assert "21 images: LiteRT differs from Keras by at most" in checked


def test_check_finds_a_model_of_other_weights(keras: Keras) -> None:
    real = real_settings("mobilenet_v2_compact")
    assert "20 images: LiteRT differs from Keras by at most" in keras(keras_side.command, real, "check")
    settings = {**real, "WEIGHTS": str(ensure_built("mobilenet_v2_compact"))}
    with pytest.raises(CommandError, match="mobilenet_v2_compact is not equal to Keras's own: 1e-04 is allowed"):
        keras(keras_side.command, settings, "check", "--weights", "random")


def test_float16_weights_in_a_file_of_their_own(keras: Keras, tmp_path: Path, settings: Any) -> None:
    whole = MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, ensure_built("mobilenet_v2_compact")))
    target = tmp_path / "half.tflite"
    own = {"MODEL_CACHE": tmp_path / "cache", "WEIGHTS": str(real_weights("mobilenet_v2_compact"))}
    arguments = ["--weights", own["WEIGHTS"], "--float16", "--output", str(target)]
    printed = keras(keras_side.command, own, "build", "mobilenet_v2_compact", *arguments)
    assert f'To use it, set ENCODER to "mobilenet_v2_compact" and WEIGHTS to "{target}".' in printed
    settings.VISUALSEARCH = {**own, "ENCODER": "mobilenet_v2_compact", "WEIGHTS": target}
    half = get_encoder()
    assert f"fingerprint  {half.fingerprint}" in printed
    assert half.fingerprint != whole.fingerprint
    assert target.stat().st_size < 0.6 * whole.file.built_path().stat().st_size
    assert (whole.encode(drawn(8)) * half.encode(drawn(8))).sum(axis=1).min() > 0.998


def test_int8_with_pictures_to_calibrate_with(keras: Keras, tmp_path: Path, clothing: list[Path]) -> None:
    """Computed in int8: a file of its own with float32 input and output, that finds much the same."""
    whole = MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, ensure_built("mobilenet_v2_compact")))
    target, pictures = tmp_path / "full.tflite", tmp_path / "pictures"
    pictures.mkdir()
    for path in clothing[::200]:
        shutil.copy(path, pictures)
    own = {"MODEL_CACHE": tmp_path / "cache", "WEIGHTS": str(real_weights("mobilenet_v2_compact"))}
    arguments = ["--weights", own["WEIGHTS"], "--int8", "--calibrate", str(pictures), "--output", str(target)]
    printed = keras(keras_side.command, own, "build", "mobilenet_v2_compact", *arguments)
    full = MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, target))
    assert f"fingerprint  {full.fingerprint}" in printed
    assert target.stat().st_size < 0.45 * whole.file.built_path().stat().st_size
    shown = [Image.open(path).convert("RGB") for path in clothing[::200]]
    cosines = (whole.encode(shown) * full.encode(shown)).sum(axis=1)
    assert 0.9 < cosines.mean() < 0.9999
