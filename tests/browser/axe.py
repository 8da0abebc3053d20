"""What axe-core finds on a page. It comes with the scripts of assembly/package.json."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.flatMap(
  ({id, nodes}) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary?.slice(0, 200)}`))"""


@cache
def _source() -> str:
    return (ROOT / "assembly" / "node_modules" / "axe-core" / "axe.min.js").read_text()


def violations(page: Any) -> list[str]:
    """One line for each element that breaks a rule, best practices among them."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(_source())
    return list(page.evaluate(RUN))
