"""The model cache: a file is there whole, or not at all. The command's refusals that need no TensorFlow."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from visualsearch.encoders import keras_zoo
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.encoders.model_file import ModelFile, sealed
from visualsearch.exceptions import EncoderError

FILE = ModelFile(MobileNetV2Compact.description, "random")


@pytest.fixture
def cache(use_settings: Any, tmp_path: Path, monkeypatch: Any) -> Path:
    """An empty model cache, and a converter that needs no TensorFlow."""
    use_settings(MODEL_CACHE=tmp_path / "cache")
    monkeypatch.setattr(keras_zoo, "build_model", lambda file: None)
    monkeypatch.setattr(keras_zoo, "converted", lambda model, **options: b"model")
    return tmp_path / "cache"


def test_the_cache_is_made_and_the_file_named_by_its_fingerprint(cache: Path) -> None:
    path = keras_zoo.export(FILE)
    assert path == cache / f"mobilenet_v2_compact-{FILE.fingerprint[:16]}.tflite"
    assert [entry.name for entry in cache.iterdir()] == [path.name]
    assert path.read_bytes() == sealed(b"model")
    assert path.stat().st_mode & 0o444 == 0o444, "workers of another user cannot read it"


def test_a_write_that_fails_leaves_the_old_file(cache: Path, monkeypatch: Any) -> None:
    path = keras_zoo.export(FILE)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(keras_zoo, "converted", lambda model, **options: b"new model")
    with pytest.raises(EncoderError, match=r"cannot be written: No space left on device; VISUALSEARCH\['MODEL_CACHE'"):
        keras_zoo.export(FILE)
    assert path.read_bytes() == sealed(b"model")
    assert list(cache.iterdir()) == [path]


def test_a_cache_that_cannot_be_made(cache: Path) -> None:
    cache.write_text("a file, not a folder")
    with pytest.raises(EncoderError, match="cannot be written: "):
        keras_zoo.export(FILE)


def test_readers_see_one_whole_file(cache: Path, monkeypatch: Any) -> None:
    contents = [bytes([letter]) * 3_000_000 for letter in b"ab"]
    whole = [sealed(content) for content in contents]
    path = keras_zoo.export(FILE)
    path.write_bytes(whole[0])
    seen: list[bytes] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            content = path.read_bytes()
            seen.append(b"torn" if content not in whole else content[:1])

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(30):
        monkeypatch.setattr(keras_zoo, "converted", lambda model, turn=turn, **options: contents[turn % 2])
        keras_zoo.export(FILE)
    stop.set()
    reader.join()
    assert set(seen) <= {b"a", b"b"}
    assert seen


def test_weights_that_change_while_they_are_read(cache: Path, tmp_path: Path, monkeypatch: Any) -> None:
    weights = tmp_path / "some.weights.h5"
    weights.write_bytes(b"one")
    file = ModelFile(MobileNetV2Compact.description, weights)
    monkeypatch.setattr(keras_zoo, "build_model", lambda file: weights.write_bytes(b"other"))
    with pytest.raises(EncoderError, match="changed while it was read; build it again"):
        keras_zoo.export(file)
    assert not cache.exists()


def test_float16_needs_a_file_of_its_own(cache: Path) -> None:
    with pytest.raises(EncoderError, match="A float16 export needs a target file"):
        keras_zoo.export(FILE, float16=True)


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("visualsearch_encoder", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["build", "mobilenet_v3"], "There is no encoder 'mobilenet_v3'. Choose one of mobilenet_v2, mobilenet_v2_com"),
        (["check", "mobilenet_v3"], "There is no encoder 'mobilenet_v3'. Choose one of mobilenet_v2, mobilenet_v2_com"),
        (["build", "mobilenet_v2", "--weights", "nope"], 'expected "imagenet", "random", or the path of a .weights'),
        (["build", "mobilenet_v2", "--weights", "/absent.h5"], "There is no weights file /absent.h5."),
        (["build", "mobilenet_v2", "--output", "model.h5"], "--output model.h5 does not end in .tflite."),
        (["build", "mobilenet_v2", "--float16"], "--float16 needs --output FILE"),
        (
            ["build", "visualsearch.testing.FakeEncoder"],
            "fake is not one of Keras's models; choose one of mobilenet_v2",
        ),
        (["build"], "the following arguments are required: name"),
        (["bild"], "invalid choice: 'bild' (choose from 'list', 'build', 'check')"),
        ([], "the following arguments are required: list | build | check"),
    ],
)
def test_arguments_that_are_wrong(cache: Path, arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError) as caught:
        command(*arguments)
    message = str(caught.value).replace("choose from list, build, check", "choose from 'list', 'build', 'check'")
    assert reason in message
    assert "\n" not in message


def test_check_wants_a_model(cache: Path, use_settings: Any) -> None:
    use_settings(MODEL_CACHE=cache, WEIGHTS="random")
    with pytest.raises(CommandError, match=r"run: manage\.py visualsearch_encoder build mobilenet_v2 --weights random"):
        command("check")


def test_check_wants_pictures(cache: Path, tmp_path: Path) -> None:
    keras_zoo.export(FILE)
    arguments = ["check", "mobilenet_v2_compact", "--weights", "random", "--images"]
    with pytest.raises(CommandError, match="There is no folder"):
        command(*arguments, str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="has no files"):
        command(*arguments, str(tmp_path / "empty"))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "note.txt").write_text("not a picture")
    with pytest.raises(CommandError, match=r"note\.txt: "):
        command(*arguments, str(tmp_path / "text"))


def test_list_says_what_is_missing(cache: Path, use_settings: Any, tmp_path: Path) -> None:
    use_settings(WEIGHTS=tmp_path / "absent.weights.h5")
    printed = command("list")
    assert f"There is no weights file {tmp_path / 'absent.weights.h5'}." in printed
    use_settings(WEIGHTS=None, ENCODER="visualsearch.testing.FakeEncoder")
    row = next(line for line in command("list").splitlines() if line.startswith("*"))
    assert row.split() == ["*", "fake", "-", "64", "its", "own", "fa4e" * 4, "yes", "-"]
