"""visualsearch_finetune on folders of real pictures: what it writes, and when it does not."""

from __future__ import annotations

import random
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.training.conftest import laid_out
from visualsearch.contrib.training import finetuning, general
from visualsearch.contrib.training.management.commands.visualsearch_finetune import Command
from visualsearch.encoders.head import read_encoder_file


@pytest.fixture(autouse=True)
def compact(settings: Any) -> None:
    """The encoder that is in the package."""
    settings.VISUALSEARCH = {**settings.VISUALSEARCH, "ENCODER": "mobilenet_v2_compact", "WEIGHTS": None}


@pytest.fixture
def goods(photos: dict[str, list[Path]], tmp_path: Path) -> Path:
    return laid_out(tmp_path / "goods", photos)


def run(*arguments: object) -> str:
    out = StringIO()
    call_command(Command(), *map(str, arguments), stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_better_file_is_written(goods: Path, photos: dict[str, list[Path]], tmp_path: Path) -> None:
    """Unreadable files are listed and counted, empty and one-picture classes are named, and none of it is fatal."""
    (goods / "hat" / "broken.jpg").write_bytes(b"not a picture")
    (goods / "empty").mkdir()
    (goods / "lone").mkdir()
    (goods / "lone" / "one.jpg").symlink_to(photos["hat"][0])
    said = run("--images", goods, "--output", tmp_path / "ours.tflite")
    for sentence in (
        "57 pictures of 57 products, by category: 5 categories.",
        "1 of them have one picture",
        "1 class has no pictures: empty",
        "1 pictures cannot be read, and are left out:",
        "broken.jpg (not_an_image:",
        "held-out P@1 0.",
        "over 56 queries: better",
        "fingerprint",
    ):
        assert sentence in said
    described = read_encoder_file(tmp_path / "ours.tflite")
    assert described is not None
    assert described.encoder == "mobilenet_v2_compact"
    assert described.record["held_out_p_at_1"]["after"] > described.record["held_out_p_at_1"]["before"]
    assert 1280 < described.dimensions <= 1284


def test_what_is_not_better_is_not_written(photos: dict[str, list[Path]], tmp_path: Path) -> None:
    """Classes that mean nothing."""
    mixed = [path for paths in photos.values() for path in paths]
    random.Random(1).shuffle(mixed)
    goods = laid_out(tmp_path / "goods", {"a": mixed[:28], "b": mixed[28:]})
    with pytest.raises(CommandError, match="Not shown to be better than what it started from") as caught:
        run("--images", goods, "--output", tmp_path / "ours.tflite")
    assert caught.value.returncode == 1
    assert not (tmp_path / "ours.tflite").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--images", "nowhere", "--output", "ours.tflite"), "There is no folder nowhere"),
        (("--images", "goods", "--output", "ours.h5"), "does not end in .tflite"),
        (("--images", "goods"), "names the encoder file to write"),
        (("--images", "goods", "--output", "ours.tflite", "--by", "colour"), "--by colour is not for folders"),
        (("--images", "goods", "--output", "ours.tflite", "--activate"), "--activate goes with a source"),
        (("--output", "ours.tflite", "--weights", "bundled"), "go with --images"),
        (("--images", "goods", "--output", "ours.tflite", "--views", "21"), "from 0 to 20"),
        (("--images", "goods", "--output", "ours.tflite", "--rounds", "2"), "go with --depth network"),
        (("--images", "goods", "--output", "ours.tflite", "--minutes", "0", "--depth", "network"), "above 0"),
        (("--images", "goods", "--output", "ours.tflite", "--encoder", "visualsearch.testing.FakeEncoder"), ".tflite"),
        (("--use", "nothing.tflite", "product"), "There is no encoder file nothing.tflite"),
        (("nobody", "--output", "ours.tflite"), "There is no source 'nobody'"),
    ],
)
def test_mistakes_are_answered_with_one_sentence(
    arguments: tuple[str, ...], reason: str, photos: dict[str, list[Path]], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    laid_out(tmp_path / "goods", {kind: paths[:2] for kind, paths in photos.items()})
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.tflite"))


def test_one_picture_a_class_is_nothing_to_learn_from(photos: dict[str, list[Path]], tmp_path: Path) -> None:
    goods = laid_out(tmp_path / "goods", {kind: paths[:1] for kind, paths in photos.items()})
    with pytest.raises(CommandError, match="No category has two products"):
        run("--images", goods, "--output", tmp_path / "ours.tflite")


def test_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "goods" / "hat").mkdir(parents=True)
    (tmp_path / "goods" / "hat" / "broken.jpg").write_bytes(b"not a picture")
    with pytest.raises(CommandError, match="None of the 1 pictures can be read"):
        run("--images", tmp_path / "goods", "--output", tmp_path / "ours.tflite")


def test_without_classes_pictures_are_told_from_crops_of_others(
    photos: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten pictures are found whatever the encoder: it says so, and writes nothing."""
    said: list[str] = []
    monkeypatch.setattr(Command, "_say", lambda self, line: said.append(line))
    goods = laid_out(tmp_path / "goods", {"all": [paths[0] for paths in photos.values()] + photos["hat"][1:7]})
    with pytest.raises(CommandError, match="Not shown to be better"):
        run("--images", goods / "all", "--output", tmp_path / "ours.tflite", "--views", 2)
    assert said[0] == "10 pictures of 10 products, by augmentations: 10 pictures, each by itself."
    assert "with 2 views of each picture" in said[1]


def test_pictures_of_a_product_lie_in_a_folder_of_their_own(
    photos: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Command, "_say", lambda self, line: said.append(line))
    for number, path in enumerate(photos["hat"][:8]):
        product = tmp_path / "goods" / "hat" / f"product {number // 2}"
        product.mkdir(parents=True, exist_ok=True)
        (product / path.name).symlink_to(path)
    with pytest.raises(CommandError, match="Not shown to be better"):  # eight queries show nothing
        run("--images", tmp_path / "goods", "--output", tmp_path / "ours.tflite", "--by", "product")
    assert said[0] == "8 pictures of 4 products, by product: 4 products."


def test_other_goods_are_kept_from_getting_worse(
    goods: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of the original embedding is kept until they are; where that does not help, no file is written."""
    catalogue = tmp_path / "catalogue"
    catalogue.mkdir()
    for path in sorted((shared / "data" / "catalogue").glob("*.jpg"))[:12]:
        (catalogue / path.name).symlink_to(path)
    asked: list[float] = []

    def loss(kept: list[general.General], head: Any) -> float:
        asked.append(head.share)
        return general.worst_loss(kept, head) if head.share >= 1.0 else 0.03

    monkeypatch.setattr(finetuning, "worst_loss", loss)
    said = run("--images", goods, "--output", tmp_path / "ours.tflite", "--keep-general", catalogue)
    assert asked == sorted(asked)
    assert asked[-1] >= 1.0
    assert f"{catalogue}: P@1 " in said
    described = read_encoder_file(tmp_path / "ours.tflite")
    assert described is not None
    assert described.record["share"] == asked[-1]

    monkeypatch.setattr(finetuning, "worst_loss", lambda kept, head: 0.03)
    with pytest.raises(CommandError, match=r"Other goods lose more than 0\.02"):
        run("--images", goods, "--output", tmp_path / "second.tflite", "--keep-general", catalogue)
    assert not (tmp_path / "second.tflite").exists()


def test_a_learned_head_is_compared_with_the_one_before(goods: Path, tmp_path: Path) -> None:
    said = run("--images", goods, "--output", tmp_path / "ours.tflite", "--depth", "learned", "--views", 1)
    assert "Head in closed form:" in said
    assert "Head in closed form, with 1 views of each picture:" in said
    assert "Head learned:" in said
    assert said.count("against the head before it:") == 2
    assert (tmp_path / "ours.tflite").is_file()
