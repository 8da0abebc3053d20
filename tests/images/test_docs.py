"""docs/images.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from visualsearch import exceptions
from visualsearch.conf import DEFAULTS
from visualsearch.images.decoding import OPENERS
from visualsearch.images.formats import FORMATS

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "images.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table under a heading, without its head."""
    lines = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in table]


def test_formats() -> None:
    assert [row[0] for row in rows("Formats")] == list(FORMATS) == list(DEFAULTS["IMAGE_FORMATS"])
    assert sorted(OPENERS) == sorted(FORMATS)


@pytest.mark.parametrize("name", ["MAX_BYTES", "MAX_PIXELS", "MAX_JPEG_PIXELS", "MIN_SIDE"])
def test_limits(name: str) -> None:
    assert [name, str(DEFAULTS[name])] in [row[:2] for row in rows("Limits")]


def test_refusals() -> None:
    documented = {row[1]: row[0] for row in rows("Refusals")}
    assert documented == {kind.__name__: kind.code for kind in exceptions.ImageRefused.__subclasses__()}


def test_names() -> None:
    assert re.findall(r"^from visualsearch\S* import (\w+)$", PAGE, re.MULTILINE) == ["ImageRefused", "open_image"]
    for name in ("open_image", "read_limited", "content_hash", "accepted_formats"):
        assert f"`{name}(" in PAGE
