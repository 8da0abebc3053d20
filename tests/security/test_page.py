"""docs/security.md names a test for each line, and none that is not there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()


@cache
def functions_in(path: str) -> set[str]:
    return {node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_line_has_its_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| what ", "| --- "))]
    assert len(rows) > 35
    named = [re.search(r"`(tests/\S+\.py)::(test_\w+)` \|$", row) for row in rows]
    assert [row for row, test in zip(rows, named, strict=True) if test is None] == []
    missing = [test[0] for test in named if test and test[2] not in functions_in(test[1])]
    assert missing == []
    assert len({test[2] for test in named if test}) == len(rows)


def test_every_test_of_this_folder_has_its_line() -> None:
    """But for those of pages, and those that only show how another one works."""
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {"test_page.py"}
    assert files == set(re.findall(r"tests/security/(test_\w+\.py)", PAGE)) - {"test_page.py"}


def test_the_lock_names_exact_versions() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert len(lines) > 60
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+(; .+)?", line)] == []
