"""What is in the wheel, and what it asks for."""

from __future__ import annotations

import email
import runpy
import subprocess
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import visualsearch
from tests.package.building import ROOT

KINDS = (
    "visualsearch/migrations/0001_initial.py",
    "visualsearch/templates/visualsearch/page.html",
    "visualsearch/static/visualsearch/visualsearch.css",
    "visualsearch/management/commands/visualsearch_reindex.py",
    "visualsearch/static/visualsearch/vendor/htmx.min.js",
    "visualsearch/static/visualsearch/vendor/htmx.LICENSE.txt",
    "visualsearch/py.typed",
)


@pytest.fixture(scope="session")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def required(metadata: Message, extra: str | None = None) -> list[str]:
    """Lines of Requires-Dist: those of everybody, or of one extra."""
    lines = metadata.get_all("Requires-Dist", [])
    return [line for line in lines if (f"extra == '{extra}'" in line if extra else "extra ==" not in line)]


def test_every_file_of_the_package_and_no_other(names: set[str]) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "visualsearch"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    ours = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    steps = runpy.run_path(str(ROOT / "assembly" / "assemble.py"))
    brought = {f"visualsearch/static/visualsearch/vendor/{name}" for name in steps["SCRIPTS"].values()}
    compiled = {name.removesuffix("po") + "mo" for name in ours if name.endswith(".po")}
    assert {name for name in names if ".dist-info/" not in name} == ours | brought | compiled
    assert set(KINDS) <= names


def test_everyone_gets_a_runtime_and_no_framework(metadata: Message) -> None:
    lines = " ".join(required(metadata)).lower()
    assert "ai-edge-litert" in lines
    for absent in ("tensorflow", "keras", "djangorestframework", "django-filter", "django-q2", "easy-thumbnails"):
        assert absent not in lines


@pytest.mark.parametrize(
    ("extra", "package"),
    [
        ("tensorflow", "tensorflow-cpu"),
        ("tensorflow", "tensorflow"),
        ("api", "djangorestframework"),
        ("api", "django-filter"),
        ("api", "drf-spectacular"),
        ("queue", "django-q2"),
        ("heif", "pillow-heif"),
        ("serving", "gunicorn"),
        ("thumbnails", "easy-thumbnails"),
    ],
)
def test_extras_bring_the_rest(metadata: Message, extra: str, package: str) -> None:
    assert any(line.startswith(f"{package}>=") for line in required(metadata, extra))
    assert extra in metadata.get_all("Provides-Extra", [])


def test_metadata_names_version_and_licence(metadata: Message, names: set[str]) -> None:
    assert metadata["Name"] == "django-visualsearch"
    assert metadata["Version"] == visualsearch.__version__
    assert metadata["License-Expression"] == "MIT"
    assert any(name.endswith("/LICENSE") for name in names)
