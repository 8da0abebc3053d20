"""The whole network: trained a little, stopped in time, and written with a head that fits it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from PIL import Image

from tests.training.conftest import laid_out
from visualsearch.contrib.training.examples import Fold
from visualsearch.contrib.training.exceptions import TrainingError
from visualsearch.contrib.training.imported import import_weights
from visualsearch.contrib.training.management.commands.visualsearch_finetune import Command
from visualsearch.encoders.head import read_encoder_file
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.encoders.model_file import ModelFile


@pytest.fixture(autouse=True)
def compact(settings: Any) -> None:
    """The encoder that is in the package."""
    settings.VISUALSEARCH = {**settings.VISUALSEARCH, "ENCODER": "mobilenet_v2_compact", "WEIGHTS": None}


@pytest.fixture(scope="module")
def model(tf: Any) -> Any:
    from visualsearch.contrib.training.network import keras_model

    return keras_model(MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, None)))


def tuning(model: Any, said: list[str], rounds: int = 3) -> Any:
    """Two colours, four pictures of each to learn from and two to judge by."""
    from visualsearch.contrib.training.network import Tuning

    pixels = [np.full((40, 40, 3), (250, 20 * n, 10) if n % 2 else (10, 20 * n, 250), np.uint8) for n in range(12)]
    learned = np.arange(12) < 8
    queries = np.flatnonzero(~learned)
    classes = np.arange(12) % 2
    relevant = classes[queries][:, None] == classes[learned][None]
    fold = Fold(learned, queries, np.flatnonzero(learned), relevant, np.zeros_like(relevant))
    return Tuning(model, pixels, classes, fold, 224, 0, said.append, rounds)


def test_a_bundled_file_becomes_the_network_that_it_was_made_of(model: Any, shared: Path, tf: Any) -> None:
    photo = Image.open(sorted((shared / "data" / "catalogue").glob("*.jpg"))[0]).convert("RGB").resize((224, 224))
    made = model(np.asarray(photo, np.float32)[None] / 127.5 - 1, training=False).numpy()[0]
    expected = MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, None)).encode([photo])[0]
    assert float(made @ expected) / np.linalg.norm(made) > 0.9999
    small = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 3)), tf.keras.layers.Conv2D(4, 3)])
    small.add(tf.keras.layers.BatchNormalization())
    with pytest.raises(TrainingError, match="does not have the layers of"):
        import_weights(small, MobileNetV2Compact().file.built_path())


def test_a_loss_that_is_not_a_number_keeps_the_last_good_network(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    run = tuning(model, said)
    before = [weight.copy() for weight in model.get_weights()]

    def spoil(self: Any, step: Any, learned: Any, number: int) -> float:
        model.set_weights([weight * (1 + 0.001 * number) for weight in before])
        return float("nan") if number == 2 else 0.5

    monkeypatch.setattr(type(run), "_round", spoil)
    monkeypatch.setattr(type(run), "_step", lambda self: None)
    finds = iter([0.5, 0.75])
    monkeypatch.setattr(type(run), "found", lambda self: next(finds))
    run.run()
    assert said[-1] == "  round 2: the loss is not a number; the network of round 1 is kept"
    assert np.allclose(model.get_weights()[0], before[0] * 1.001)
    model.set_weights(before)


def test_it_stops_where_it_finds_no_more_and_takes_the_best_round(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    run = tuning(model, said, rounds=9)
    before = [weight.copy() for weight in model.get_weights()]
    monkeypatch.setattr(
        type(run), "_round", lambda self, step, learned, number: model.set_weights([w * number for w in before]) or 0.5
    )
    monkeypatch.setattr(type(run), "_step", lambda self: None)
    finds = iter([0.5, 0.6, 0.8, 0.8, 0.7])
    monkeypatch.setattr(type(run), "found", lambda self: next(finds))
    run.run()
    assert len(said) == 5  # before, and four rounds
    assert np.allclose(model.get_weights()[0], before[0] * 2)
    model.set_weights(before)


def test_a_network_is_trained_and_written(
    model: Any,
    photos: dict[str, list[Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One step on a dozen pictures. Exporting takes longer than all of it and is tested with the encoders: here the
    network that was trained stands aside for the one that it was made of."""
    from visualsearch.contrib.training import network, whole

    moved: list[float] = []
    before = [weight.copy() for weight in model.get_weights()]

    def exported(trained: Any, base: MobileNetV2Compact, target: Path) -> MobileNetV2Compact:
        moved.append(float(np.abs(trained.get_weights()[0] - before[0]).max()))
        return base

    monkeypatch.setattr(network, "keras_model", lambda base: model)
    monkeypatch.setattr(network, "export", exported)
    monkeypatch.setattr(network.Tuning, "found", lambda self: float(len(moved) + self.model.get_weights()[0].max()))
    monkeypatch.setattr(network, "SEARCHED", 8)
    monkeypatch.setattr(whole, "require_better", lambda comparison: None)  # a few pictures show nothing
    goods = laid_out(tmp_path / "goods", {kind: paths[:5] for kind, paths in photos.items()})
    out = StringIO()
    arguments = ["--images", goods, "--output", tmp_path / "ours.tflite", "--depth", "network", "--rounds", "1"]
    call_command(Command(), *map(str, arguments), stdout=out, stderr=StringIO())
    said = out.getvalue()
    for sentence in ("The whole network, on ", "round 1: loss ", "A head alone: held-out", "against a head alone:"):
        assert sentence in said
    described = read_encoder_file(tmp_path / "ours.tflite")
    assert described is not None
    assert described.head is None  # no stored vector can be turned into one of these
    assert described.record["network"] == "trained"
    assert len(moved) == 1
    model.set_weights(before)
