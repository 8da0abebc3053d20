"""docs/weights.md gives the bundled weights' figures as their model cards do: one row for each file, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from visualsearch.encoders import BUNDLED, encoder_class
from visualsearch.encoders.model_file import BUNDLED_WEIGHTS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "weights.md"
COLUMNS = ["P@1", "P@10", "mAP@10", "hit@10"]


def cards() -> dict[str, str]:
    """The text of each model card, by the file that it is of; a page may hold several."""
    found: dict[str, str] = {}
    for page in sorted(BUNDLED_WEIGHTS.glob("*.md")):
        for card in re.split(r"^(?=# Model card: )", page.read_text(), flags=re.MULTILINE):
            if named := re.match(r"# Model card: `([\w.]+)`", card):
                assert named[1] not in found, f"{named[1]} has two model cards"
                found[named[1]] = card
    return found


def tables(text: str) -> list[list[list[str]]]:
    """Every table as its rows of cells, the heading first."""
    found = re.findall(r"(?:^\|.*\|\n?)+", text, flags=re.MULTILINE)
    rows = [[line.strip("|").split("|") for line in table.splitlines()] for table in found]
    return [[[cell.strip() for cell in row] for row in table if not set("".join(row)) <= set("- :")] for table in rows]


def carded(name: str) -> list[str]:
    """An encoder's row as its model card has it: what the student reached, in the card's own words."""
    card, file = cards()[f"{name}.tflite"], BUNDLED_WEIGHTS / f"{name}.tflite"
    width = re.search(r"MobileNetV2 of width ([\d.]+)", card)
    figures = next(table for table in tables(card) if table[0][1:] == COLUMNS)
    (student,) = [row[1:] for row in figures if row[0] == "student"]
    cosine = re.search(r"[Mm]ean cosine to the teacher on the queries:\s+([\d.]+ \([\d.]+ to [\d.]+\))", card)
    assert width
    assert cosine
    return [f"`{name}`", width[1], f"{file.stat().st_size / 1e6:.1f} MB", *student, cosine[1]]


def documented() -> dict[str, list[str]]:
    (table,) = [table for table in tables(PAGE.read_text()) if table[0][3:7] == COLUMNS]
    return {row[0].strip("`"): row for row in table[1:]}


def bundled() -> list[str]:
    return [name for name in BUNDLED if (BUNDLED_WEIGHTS / f"{name}.tflite").is_file()]


def test_every_bundled_file_has_a_card_and_a_row() -> None:
    files = {path.name for path in BUNDLED_WEIGHTS.glob("*.tflite")}
    assert files == {f"{name}.tflite" for name in bundled()} == set(cards())
    assert list(documented()) == [name for name in [*reversed(BUNDLED)] if name in bundled()]


@pytest.mark.parametrize("name", bundled())
def test_figures_are_the_model_card_s(name: str) -> None:
    assert documented()[name] == carded(name)
    assert float(documented()[name][1]) == encoder_class(name).description.width


def test_tables_are_read_as_they_are() -> None:
    text = "| a | b |\n| --- | --- |\n| 1 | -0.5 |\n\nText | with a bar.\n\n| c |\n| --- |\n| x |\n"
    assert tables(text) == [[["a", "b"], ["1", "-0.5"]], [["c"], ["x"]]]
