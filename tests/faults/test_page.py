"""docs/reliability.md names every test of a fault, and none that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = (HERE.parent.parent / "docs" / "reliability.md").read_text()


def fault_tests() -> set[str]:
    """Tests below this folder but for those of this file, which all have to carry the marker."""
    found = set()
    for path in sorted(HERE.glob("test_*.py")):
        if path == Path(__file__).resolve():
            continue
        source = path.read_text()
        assert "pytestmark = [pytest.mark.fault" in source, f"{path.name} is not marked"
        names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        found |= {f"tests/faults/{path.name}::{name}" for name in names if name.startswith("test_")}
    return found


def test_every_fault_has_its_line_and_every_line_its_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][2:]
    named = [test for row in rows for test in re.findall(r"`(tests/faults/\S+?)`", row)]
    assert len(rows) == len([row for row in rows if re.search(r"`tests/faults/", row)]), "a line without a test"
    assert len(named) == len(set(named))
    assert set(named) == fault_tests()
