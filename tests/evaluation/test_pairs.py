"""A CSV of pairs instead of classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evaluation.conftest import BLUE, RED, answer, refusal, shades

pytestmark = pytest.mark.usefixtures("fake_encoder")


@pytest.fixture
def pictures(folders: Callable[..., Path]) -> Path:
    return folders("pictures", red=shades(RED, 3), blue=shades(BLUE, 3))


def written(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_each_query_has_its_own_answers(pictures: Path) -> None:
    pairs = written(
        pictures / "pairs.csv", "query,relevant", "red/0.png,red/1.png,red/2.png", "red/1.png,blue/0.png,", ""
    )
    found = answer("--csv", pairs)
    assert (found["queries"], found["gallery"]) == (2, 4), "the gallery is what the rows name"
    assert found["p_at_1"] == 0.5, "the first finds its own; the second is nearest to other reds"
    assert found["recall_at_10"] == 1
    assert "classes" not in found
    assert "confusions" not in found


def test_the_folder_is_the_gallery_where_one_is_named(pictures: Path, tmp_path: Path) -> None:
    pairs = written(tmp_path / "pairs.csv", "red/0.png;red/1.png", "red/0.png;red/2.png")
    found = answer(pictures, "--csv", pairs)
    assert (found["queries"], found["gallery"]) == (1, 6)
    assert found["map_at_10_relevant"] == 1, "the rows of one query add up"


def test_a_file_is_one_picture_however_it_is_written(pictures: Path) -> None:
    pairs = written(pictures.parent / "pairs.csv", "red/0.png,red/../red/1.png", "blue/../red/2.png,red/0.png")
    found = answer(pictures, "--csv", pairs)
    assert (found["queries"], found["gallery"]) == (2, 6)
    assert found["p_at_1"] == 0.5, "the second finds red/1 first, and never itself"


def test_relevant_ones_are_in_the_gallery(pictures: Path, folders: Callable[..., Path], tmp_path: Path) -> None:
    gallery = folders("gallery", all=[*shades(RED, 2), BLUE])
    pairs = written(tmp_path / "pairs.csv", "red/0.png\tall/0.png", "blue/0.png\tall/2.png")
    found = answer(pictures, "--csv", pairs, "--gallery", gallery)
    assert (found["queries"], found["gallery"], found["p_at_1"]) == (2, 3, 1)


def test_what_is_missing_is_listed(pictures: Path) -> None:
    pairs = written(
        pictures / "pairs.csv", "red/0.png,red/1.png,red/9.png", "gone.png,red/1.png", "red/2.png,red/8.png"
    )
    found = answer("--csv", pairs)
    assert found["queries"] == 1
    assert sorted(each["name"] for each in found["unreadable"]) == ["gone.png", "red/8.png", "red/9.png"]
    assert found["notes"] == ["1 query is left out, as none of its pictures is there: red/2.png."]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "{} names no pairs: query, relevant, relevant, ..."),
        (b"query,relevant\n", "{} names no pairs: query, relevant, relevant, ..."),
        (b"a.png,b.png\nc.png\n", "{}, line 2: expected a query and the pictures that it should find."),
        (b"\xff\xfe\x00", "{} is not a text file in UTF-8."),
        (None, "{} cannot be read: No such file or directory."),
        (b"a.png,b.png\n", "None of the 2 pictures can be read; a.png: There is no such file."),
    ],
)
def test_mistakes(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "pairs.csv"
    if content is not None:
        path.write_bytes(content)
    assert refusal("--csv", path) == expected.replace("{}", str(path))
