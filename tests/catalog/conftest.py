"""Folders of small pictures, and the two commands as a person at a terminal sees them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 60), (40, 60, 200)


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended: 0, or CommandError's exit status and sentence."""

    out: str
    err: str
    status: int
    sentence: str

    @property
    def counts(self) -> str:
        return next(line for line in self.out.splitlines() if " unchanged, " in line)


@pytest.fixture
def run(db: None) -> Callable[..., Ran]:
    def call(*args: Any, **options: Any) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*map(str, args), stdout=out, stderr=err, **options)
        except CommandError as exc:
            return Ran(out.getvalue(), err.getvalue(), exc.returncode, str(exc))
        return Ran(out.getvalue(), err.getvalue(), 0, "")

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def draw(path: Path, colour: tuple[int, int, int] = RED, size: tuple[int, int] = (48, 32), **options: Any) -> Path:
    """A picture file of one colour; the format follows from the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


def write_csv(folder: Path, *lines: str, header: str = "path,title,sku,price,category,stock") -> Path:
    path = folder.parent / "products.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path
