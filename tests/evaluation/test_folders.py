"""visualsearch_evaluate on folders and pairs: figures, notes, and what it answers to mistakes. No database."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.evaluation.conftest import BLUE, CRIMSON, NAVY, RED, answer, evaluate, measures, refusal, shades
from tests.shelf import picture

pytestmark = pytest.mark.usefixtures("fake_encoder")  # and no django_db: a query would fail the test


def test_leave_one_out(shop: Path) -> None:
    found = answer(shop)
    assert (found["queries"], found["gallery"], found["k"]) == (8, 8, 10)
    assert measures(found) == {
        "p_at_1": 1,
        "p_at_10": 0.3,  # three others of the class, ten places
        "map_at_10": 1,
        "map_at_10_relevant": 1,
        "hit_at_10": 1,
        "recall_at_10": 1,
        "mrr": 1,
    }
    assert found["intervals"]["p_at_1"] == [1, 1]
    assert found["classes"] == [{"class": name, "p_at_1": 1, "queries": 4} for name in ("blue", "red")]
    assert found["confusions"] == found["unreadable"] == found["notes"] == []
    assert found["encoder"] == "visualsearch.testing.FakeEncoder"
    assert found["ms_per_image"] > 0
    assert found["encoder_ms_per_image"] > 0


def test_the_keys_that_programs_rely_on(shop: Path) -> None:
    found = answer(shop)
    for key in ("p_at_1", "p_at_10", "map_at_10", "hit_at_10", "queries", "gallery"):
        assert isinstance(found[key], int | float), key
    assert {"p_at_3", "map_at_3", "hit_at_3", "recall_at_3"} <= set(answer(shop, "--k", 3))
    assert answer(shop, "--k", 1)["map_at_1"] == 1


def test_a_gallery_of_its_own(folders: Callable[..., Path]) -> None:
    queries = folders("queries", red=[RED], blue=[BLUE], violet=[(120, 30, 120)])
    gallery = folders("gallery", red=shades(RED, 3), blue=[(1, 200, 1)], violet=shades(NAVY, 2))
    found = answer(queries, "--gallery", gallery)
    assert (found["queries"], found["gallery"]) == (3, 6)
    # Red finds red; blue finds navy, which is filed under violet.
    assert found["p_at_1"] == pytest.approx(2 / 3)
    assert found["confusions"] == [{"wanted": "blue", "found": "violet", "count": 1, "queries": 1}]
    assert found["classes"][0] == {"class": "blue", "p_at_1": 0, "queries": 1}


def test_the_report(shop: Path) -> None:
    (shop / "red" / "broken.jpg").write_text("no picture")
    lines = evaluate(shop).splitlines()
    assert lines[0].startswith("visualsearch.testing.FakeEncoder (its own weights), fingerprint fa4e")
    assert lines[1] == "8 queries in 2 classes against 8 pictures"
    figures = {line[:34].strip(): line[34:].split() for line in lines[4:11]}
    assert figures["P@1"] == ["1.000", "1.000", "to", "1.000"]
    assert {"P@10", "hit@10", "recall@10", "MRR"} <= set(figures)
    assert {"mAP@10, over those retrieved", "mAP@10, over min(10, relevant)"} <= set(figures)
    assert any(re.fullmatch(r"[\d.]+ ms an image read, decoded and encoded; [\d.]+ ms .*", line) for line in lines)
    assert "1 picture cannot be read and is left out:" in lines
    assert "  red/broken.jpg: The file is not an image of a known format. (not_an_image)" in lines


def test_unreadable_files_are_listed_counted_and_not_fatal(shop: Path) -> None:
    (shop / "red" / "letter.jpg").write_text("Dear shop,")
    (shop / "blue" / "half.png").write_bytes(picture(BLUE, size=(300, 300))[:90])
    (shop / "blue" / "gone.png").symlink_to(shop / "nowhere.png")
    (shop / "blue" / "notes.txt").write_text("no picture by its name, and passed over")
    (shop / "blue" / ".hidden.png").write_text("passed over")
    found = answer(shop)
    assert [(each["name"], each["code"]) for each in found["unreadable"]] == [
        ("blue/gone.png", "file_missing"),
        ("blue/half.png", "truncated_image"),
        ("red/letter.jpg", "not_an_image"),
    ]
    assert (found["queries"], found["p_at_1"]) == (8, 1)


def test_empty_classes_and_classes_of_one(shop: Path) -> None:
    (shop / "empty").mkdir()
    (shop / "single").mkdir()
    (shop / "single" / "0.png").write_bytes(picture((20, 160, 20)))
    (shop / "loose.png").write_bytes(picture(RED))
    found = answer(shop)
    assert (found["queries"], found["gallery"]) == (8, 9), "it is asked nothing, and may still be found"
    assert found["notes"] == [
        f"{shop}: 1 class has no pictures: empty.",
        f"{shop}: 1 picture lies in no class: loose.png.",
        "1 query is left out, as no other picture of its class is there: single.",
    ]


def test_classes_that_the_gallery_lacks(folders: Callable[..., Path]) -> None:
    queries = folders("queries", red=[RED], green=[(20, 160, 20), (20, 170, 20)])
    found = answer(queries, "--gallery", folders("gallery", red=shades(CRIMSON, 2)))
    assert found["queries"] == 1
    assert found["notes"] == ["2 queries are left out, as no other picture of their class is there: green."]


def test_pictures_that_are_on_both_sides(folders: Callable[..., Path]) -> None:
    found = answer(folders("queries", red=[RED]), "--gallery", folders("gallery", red=[RED, BLUE]))
    assert found["notes"] == ["1 of the queries is in the gallery byte for byte, under another name: red/0.png."]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "Name a folder of class sub-folders, a --csv of pairs, or a --source."),
        (["{}/nowhere"], "There is no folder {}/nowhere."),
        (["{}/shop/red/0.png"], "{}/shop/red/0.png is not a folder."),
        (
            ["{}/shop/red"],
            "{}/shop/red has no class sub-folders with pictures: FOLDER/CLASS/picture.jpg. 4 pictures lie in it "
            "directly, without a class.",
        ),
        (["{}/bare"], "{}/bare has no class sub-folders with pictures: FOLDER/CLASS/picture.jpg."),
        (
            ["{}/ones"],
            "None of the 2 queries has anything to find: no class has two pictures.",
        ),
        (
            ["{}/broken"],
            "None of the 2 pictures can be read; a/0.jpg: The file is not an image of a known format.",
        ),
        (
            ["{}/shop", "--gallery", "{}/shop/red"],
            "{}/shop and {}/shop/red overlap, so that pictures would find themselves; leave --gallery out to ask each "
            "picture of all the others.",
        ),
        (
            ["{}/shop", "--gallery", "{}/ones"],
            "{}/shop and {}/ones have no class in common: blue, red against a, b.",
        ),
        (["{}/shop", "--k", "0"], "--k must be 1 or more."),
        (["{}/shop", "--by", "product"], "--by goes with --source."),
        (["{}/shop", "--source", "product"], "--source evaluates the shop's own images; leave QUERIES out."),
        (["{}/shop", "--montage", "out.gif"], "--montage out.gif must end in .jpg or .jpeg."),
        (["{}/shop", "--plot", "out.jpg"], "--plot out.jpg must end in .png."),
        (["{}/shop", "--plot", "/no/such/out.png"], "There is no folder /no/such for the plot."),
        (["{}/shop", "--weights", "x.tflite"], "fake is not one of Keras's models, and takes no --weights."),
    ],
)
def test_mistakes(
    shop: Path, folders: Callable[..., Path], tmp_path: Path, arguments: list[str], expected: str
) -> None:
    folders("ones", a=[RED], b=[BLUE])
    folders("broken", a=[], b=[])
    for label in ("a", "b"):
        (tmp_path / "broken" / label / "0.jpg").write_text("no picture")
    (tmp_path / "bare" / "empty").mkdir(parents=True)
    filled = [argument.replace("{}", str(tmp_path)) for argument in arguments]
    assert refusal(*filled) == expected.replace("{}", str(tmp_path))


UNREACHABLE = """
SECRET_KEY = "only for this test"
INSTALLED_APPS = ["visualsearch"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": "1", "NAME": "none"}}
"""


COMMAND = (sys.executable, "-m", "django", "visualsearch_evaluate")


def test_folders_need_no_database_and_no_extra(shop: Path, tmp_path: Path) -> None:
    """With settings that name a database that is not there, and the bundled encoder."""
    (tmp_path / "no_database.py").write_text(UNREACHABLE)
    done = subprocess.run(
        [*COMMAND, str(shop), "--json", "--encoder", "mobilenet_v2_compact"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "no_database", "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["encoder"], found["queries"]) == ("mobilenet_v2_compact", 8)
