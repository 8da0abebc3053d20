"""Which encoder, which weights, which file: decided without loading a model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encoders.built import ensure_built, real_settings, run_python
from tests.encoders.pictures import drawn
from visualsearch.encoders import Encoder, configured, encoder_class, encoder_names, get_encoder
from visualsearch.encoders.mobilenet import MobileNetV2, MobileNetV2Compact
from visualsearch.encoders.model_file import BUNDLED_WEIGHTS, ModelDescription, ModelFile
from visualsearch.exceptions import EncoderError, EncoderNotBuilt, InvalidWeights, MissingExtra

OWN = "tests.encoders.test_choosing.Narrow"
COMPACT = MobileNetV2Compact.description


class Narrow(MobileNetV2):
    description = ModelDescription("narrow", width=0.5)
    name = description.name


class Unfinished(Encoder):
    name = "unfinished"
    dimensions = 3


class Nameless(Unfinished):
    del Unfinished.name
    fingerprint = "0"

    def embed(self, images: Any) -> Any:
        return np.ones((len(images), 3))


def test_the_settings_encoder_is_the_default(use_settings: Any) -> None:
    use_settings(ENCODER="mobilenet_v2_compact")
    assert type(get_encoder()) is MobileNetV2Compact
    assert type(get_encoder("mobilenet_v2")) is MobileNetV2
    use_settings(ENCODER=OWN)
    assert type(get_encoder()) is Narrow
    assert encoder_names() == ["mobilenet_v2", "mobilenet_v2_compact", OWN]


def test_one_instance_until_the_settings_change(use_settings: Any) -> None:
    first = get_encoder()
    assert get_encoder() is first
    assert get_encoder("visualsearch.encoders.mobilenet.MobileNetV2") is first
    use_settings(WEIGHTS="random")
    assert get_encoder() is not first


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mobilenet_v3", "There is no encoder 'mobilenet_v3'."),
        ("", "There is no encoder ''."),
        (7, "There is no encoder 7."),
        ("nowhere.Encoder", "There is no encoder 'nowhere.Encoder': No module named 'nowhere'."),
        ("tests.encoders.pictures.Nothing", 'does not define a "Nothing" attribute/class.'),
        ("tests.encoders.pictures.drawn", "is not a subclass of visualsearch.encoders.Encoder."),
        ("tests.encoders.test_choosing.Unfinished", "lacks embed, fingerprint, name."),
        ("tests.encoders.test_choosing.Nameless", "lacks name."),
    ],
)
def test_no_such_encoder(name: Any, reason: str) -> None:
    with pytest.raises(EncoderError) as caught:
        get_encoder(name)
    assert reason in str(caught.value)
    assert "Choose one of mobilenet_v2, mobilenet_v2_compact, or give the dotted path" in str(caught.value)


def test_without_weights_it_says_what_to_do(use_settings: Any, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr("visualsearch.encoders.model_file.BUNDLED_WEIGHTS", tmp_path)
    with pytest.raises(EncoderNotBuilt) as caught:
        get_encoder().encode(drawn(1))
    assert str(caught.value) == (
        "This installation has no bundled weights for mobilenet_v2: set VISUALSEARCH['WEIGHTS'] to \"imagenet\" or to "
        "the path of a .weights.h5 file, then run: manage.py visualsearch_encoder build mobilenet_v2"
    )
    use_settings(WEIGHTS="imagenet", MODEL_CACHE=tmp_path)
    with pytest.raises(EncoderNotBuilt) as caught:
        _ = get_encoder().fingerprint
    assert str(caught.value) == (
        "mobilenet_v2 has not been built from imagenet yet; "
        "run: manage.py visualsearch_encoder build mobilenet_v2 --weights imagenet"
    )


def test_bundled_weights_are_used_where_they_are(use_settings: Any, monkeypatch: Any, tmp_path: Path) -> None:
    shutil.copy(ensure_built("mobilenet_v2_compact"), tmp_path / "mobilenet_v2_compact.tflite")
    monkeypatch.setattr("visualsearch.encoders.model_file.BUNDLED_WEIGHTS", tmp_path)
    use_settings(ENCODER="mobilenet_v2_compact")
    assert get_encoder().encode(drawn(1)).shape == (1, 1280)


@pytest.mark.parametrize("weights", ["imagnet", "weights.bin", "", 5, "mobilenet.keras"])
def test_weights_that_are_none(use_settings: Any, weights: Any) -> None:
    use_settings(WEIGHTS=weights)
    with pytest.raises(InvalidWeights, match=r'expected "imagenet", "random", or the path of a \.weights\.h5 or'):
        get_encoder()


@pytest.mark.parametrize("name", ["absent.weights.h5", "absent.tflite"])
def test_weights_files_that_are_not_there(use_settings: Any, tmp_path: Path, name: str) -> None:
    use_settings(WEIGHTS=tmp_path / name)
    with pytest.raises(InvalidWeights, match=f"There is no weights file {tmp_path / name}"):
        _ = get_encoder().fingerprint


def test_weights_are_meant_for_the_encoder_in_the_settings(use_settings: Any) -> None:
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS="random")
    assert MobileNetV2Compact().file.weights == "random"
    assert MobileNetV2().file.weights is None
    use_settings(ENCODER=OWN)
    assert Narrow().file.weights == "random"


def test_weights_for_each_encoder(use_settings: Any) -> None:
    use_settings(WEIGHTS={"mobilenet_v2_compact": "random", OWN: "imagenet"})
    weights = [encoder().file.weights for encoder in (MobileNetV2, MobileNetV2Compact, Narrow)]
    assert weights == [None, "random", "imagenet"]
    use_settings(WEIGHTS={"mobilenet": "random"})
    with pytest.raises(EncoderError, match="has the key 'mobilenet', which names no encoder; its keys are mobilenet_v"):
        MobileNetV2()


def test_further_weights_have_a_label(use_settings: Any, tmp_path: Path) -> None:
    use_settings(WEIGHTS={"mobilenet_v2": "random", "mobilenet_v2@spring": "imagenet"}, ENCODER="mobilenet_v2")
    assert get_encoder().file.weights == "random"  # type: ignore[attr-defined]
    spring = get_encoder("mobilenet_v2@spring")
    assert spring is get_encoder("visualsearch.encoders.mobilenet.MobileNetV2@spring")
    assert spring.file.weights == "imagenet"  # type: ignore[attr-defined]
    assert encoder_names() == ["mobilenet_v2", "mobilenet_v2_compact", "mobilenet_v2@spring"]
    assert configured() == ["mobilenet_v2", "mobilenet_v2@spring"]
    with pytest.raises(EncoderError, match=r"no weights labelled 'autumn': give .* the key 'mobilenet_v2@autumn'"):
        get_encoder("mobilenet_v2@autumn")
    with pytest.raises(EncoderError, match="There is no encoder 'mobilenet_v2@'"):
        get_encoder("mobilenet_v2@")
    with pytest.raises(EncoderError, match="The encoder 'fake' has no further weights, so none under the label 'x'"):
        get_encoder("visualsearch.testing.FakeEncoder@x")


def test_plain_weights_are_meant_for_the_labelled_encoder_in_the_settings(use_settings: Any) -> None:
    use_settings(ENCODER="mobilenet_v2@spring", WEIGHTS="random")
    assert get_encoder().file.weights == "random"  # type: ignore[attr-defined]
    assert get_encoder("mobilenet_v2").file.weights is None  # type: ignore[attr-defined]


def test_fingerprints_differ_by_all_that_changes_the_vectors(tmp_path: Path) -> None:
    file = tmp_path / "some.weights.h5"
    file.write_bytes(b"one")
    other = tmp_path / "other.tflite"
    other.write_bytes(b"two")
    descriptions = [
        COMPACT,
        ModelDescription("mobilenet_v2_compact", width=0.5),
        ModelDescription("mobilenet_v2_compact", width=0.35, side=192),
        ModelDescription("mobilenet_v2_compact", width=0.35, preprocessing="centre crop"),
    ]
    prints = {ModelFile(d, w).fingerprint for d in descriptions for w in (file, other, "imagenet", "random")}
    assert len(prints) == 16
    assert all(len(fingerprint) == 64 for fingerprint in prints)
    renamed = file.rename(tmp_path / "renamed.weights.h5")
    assert ModelFile(COMPACT, renamed).fingerprint in prints


def test_the_fingerprint_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "some.weights.h5"
    file.write_bytes(b"one")
    first = ModelFile(COMPACT, file).fingerprint
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert ModelFile(COMPACT, file).fingerprint != first
    file.write_bytes(b"one")
    assert ModelFile(COMPACT, file).fingerprint == first


def test_a_weights_file_is_read_once(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "some.tflite"
    file.write_bytes(b"one")
    encoder = MobileNetV2Compact(ModelFile(COMPACT, file))
    first = encoder.fingerprint
    monkeypatch.setattr("hashlib.file_digest", lambda *arguments: pytest.fail("read again"))
    assert encoder.fingerprint == first


def test_a_replaced_model_is_loaded_anew(use_settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    shutil.copy(BUNDLED_WEIGHTS / "mobilenet_v2_compact.tflite", file)
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=file)
    encoder, pictures = get_encoder(), drawn(2)
    before = (encoder.fingerprint, encoder.encode(pictures))
    # Replaced as export does: the old file's pages stay mapped until its interpreter is gone.
    shutil.copy(ensure_built("mobilenet_v2_compact"), tmp_path / "new")
    (tmp_path / "new").replace(file)
    after = (encoder.fingerprint, encoder.encode(pictures))
    assert before[0] != after[0]
    assert np.abs(before[1] - after[1]).max() > 0.01


def test_settings_that_are_not_valid(use_settings: Any) -> None:
    use_settings(**{**real_settings("mobilenet_v2_compact"), "RUNTIME": "torch"})
    with pytest.raises(EncoderError, match="'RUNTIME'] is 'torch'; choose one of litert, tensorflow"):
        _ = get_encoder().fingerprint
    for threads in (0, -1, 1.5, "2", None, True):
        use_settings(RUNTIME="litert", THREADS=threads)
        with pytest.raises(EncoderError, match="it must be a whole number above 0"):
            get_encoder().encode(drawn(1))


def test_tensorflow_is_named_where_it_is_missing(monkeypatch: Any) -> None:
    from visualsearch.encoders import keras_zoo

    monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
    with pytest.raises(MissingExtra, match=r'pip install "django-visualsearch\[tensorflow\]"'):
        keras_zoo.export(ModelFile(COMPACT, "random"))


def test_importing_loads_nothing() -> None:
    code = """
import sys
import visualsearch.encoders, visualsearch.encoders.mobilenet, visualsearch.encoders.litert
import visualsearch.encoders.keras_zoo, visualsearch.management.commands.visualsearch_encoder
print([name for name in ("tensorflow", "keras", "ai_edge_litert", "h5py") if name in sys.modules])
"""
    assert run_python(code).strip() == "[]"


def test_encoding_imports_no_tensorflow() -> None:
    code = """
import sys
from pathlib import Path
from django.conf import settings
settings.configure(VISUALSEARCH={"ENCODER": "mobilenet_v2_compact", "WEIGHTS": sys.argv[1]})
from PIL import Image
from visualsearch.encoders import get_encoder
print(get_encoder().encode([Image.new("RGB", (300, 200), "red")] * 9).shape)
print([name for name in ("tensorflow", "keras", "h5py") if name in sys.modules])
"""
    assert run_python(code, str(ensure_built("mobilenet_v2_compact"))).splitlines() == ["(9, 1280)", "[]"]


def test_encoder_class_for_checks() -> None:
    assert encoder_class("mobilenet_v2") is MobileNetV2
