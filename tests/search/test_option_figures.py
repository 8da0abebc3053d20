"""benchmarks.options runs, and its page explains what it prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "README.md"


def explained(section: str) -> set[str]:
    text = README.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([\w.]+)`", row)}


@pytest.mark.django_db
def test_figures_of_the_options(shared_data: Path, use_settings: Any, queue: Any) -> None:
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=None)
    from benchmarks.measures.options import measure

    figures = measure(quick=True)
    inner = {f"{key}.{name}" for key, rows in figures.items() if isinstance(rows, list) for name in rows[0]}
    assert {*figures, *inner} == explained("options")
    assert (figures["copies_beside_plain"], figures["copies_beside_folded"]) == (1, 0)
    assert 0 < figures["plain_p_10"] <= 1
    assert [row["diversity"] for row in figures["diversities"]] == [0, 0.2, 0.4, 0.6]
    apart = [row["apart"] for row in figures["diversities"]]
    assert apart[0] < apart[-1]
