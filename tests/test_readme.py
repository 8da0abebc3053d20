"""The README says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from visualsearch.conf import DEFAULTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def settings_table() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| `([A-Z_0-9]+)` \| `(.*?)` \| (.*) \|$", README, re.M)
    return {key: (default, meaning) for key, default, meaning in rows}


def settings_source() -> dict[str, tuple[str, str]]:
    """Key, default and comment as conf.py writes them."""
    source = (ROOT / "visualsearch" / "conf.py").read_text()
    rows = re.findall(r'^    "([A-Z_0-9]+)": (.*),  # (.*)$', source, re.M)
    return {key: (default, meaning) for key, default, meaning in rows}


def test_settings_table() -> None:
    assert set(settings_source()) == set(DEFAULTS)
    assert settings_table() == settings_source()


def test_commands() -> None:
    named = set(re.findall(r"^\| `(visualsearch_\w+)", README, re.M))
    ours = {name for name, app in get_commands().items() if app == "visualsearch"}
    assert named == ours
    for name in ours:
        assert load_command_class("visualsearch", name).help


@pytest.mark.parametrize("page", ["README.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{page} links to {target}"


def test_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make (\w+)", README):
        assert f"\n{target}:" in makefile


def test_catalogue_is_as_large_as_said() -> None:
    from catalog.drawing.assortment import assortment

    (count,) = re.findall(r"draws a catalogue of (\d+) products", README)
    assert len(list(assortment())) == int(count)
