"""docs/quickstart.md as the code that it is: the tests do what the page says, so the page stays true."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from tests.package.building import ROOT

PAGE = ROOT / "docs" / "quickstart.md"
FENCED = re.compile(r"^## (?P<section>[^\n]+)$|^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    section: str
    language: str
    text: str

    @property
    def path(self) -> str:
        """The file that the example's first line names."""
        return self.text.partition("\n")[0].removeprefix("# ")


def blocks(*sections: str) -> list[Block]:
    """The page's examples in these sections, in order. Fails for a section that is not there."""
    found, section = [], ""
    for match in FENCED.finditer(PAGE.read_text()):
        section = match["section"] or section
        if match["language"]:
            found.append(Block(section, match["language"], match["text"]))
    assert set(sections) <= {block.section for block in found}, sections
    return [block for block in found if block.section in sections]


def code(*sections: str) -> list[Block]:
    return [block for block in blocks(*sections) if block.language == "python"]


def commands(program: str, *sections: str) -> list[list[str]]:
    """Arguments of the page's calls of a program: ``pip install ...``, ``python manage.py ...``."""
    lines = "".join(block.text for block in blocks(*sections) if block.language == "console").splitlines()
    called = [shlex.split(line) for line in lines]
    head = program.split()
    return [call[len(head) :] for call in called if call[: len(head)] == head]
