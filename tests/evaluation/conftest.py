"""Folders of coloured pictures, which the fake encoder tells apart by their colours."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.shelf import picture

Colour = tuple[int, int, int]
RED, CRIMSON, BLUE, NAVY = (200, 30, 30), (180, 40, 40), (30, 30, 200), (40, 40, 160)


def shades(colour: Colour, count: int) -> list[Colour]:
    """Colours near one another, the same each time."""
    return [(colour[0] + 3 * number, colour[1] + 2 * number, colour[2] + number) for number in range(count)]


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., Path]:
    """``folders("shop", red=[...colours])`` makes shop/red/0.png and so on."""

    def make(name: str, **classes: Sequence[Colour]) -> Path:
        for label, colours in classes.items():
            (tmp_path / name / label).mkdir(parents=True)
            for number, colour in enumerate(colours):
                (tmp_path / name / label / f"{number}.png").write_bytes(picture(colour))
        return tmp_path / name

    return make


@pytest.fixture
def shop(folders: Callable[..., Path]) -> Path:
    """Two classes of four pictures that are easily told apart."""
    return folders("shop", red=shades(RED, 4), blue=shades(BLUE, 4))


def evaluate(*arguments: Any) -> str:
    out = io.StringIO()
    call_command("visualsearch_evaluate", *map(str, arguments), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def answer(*arguments: Any) -> dict[str, Any]:
    return json.loads(evaluate(*arguments, "--json"))


def refusal(*arguments: Any) -> str:
    with pytest.raises(CommandError) as caught:
        evaluate(*arguments)
    assert caught.value.returncode == 1
    text = str(caught.value)
    assert "\n" not in text
    return text


def measures(found: Mapping[str, Any]) -> dict[str, float]:
    """The figures at the top of the answer."""
    return {name: found[name] for name in found["intervals"]}
