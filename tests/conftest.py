"""A PostgreSQL of the tests' own, real pictures, real weights."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
STARTED: dict[str, Any] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Starts one server for the whole run, before Django's settings are read; xdist's workers inherit its address."""
    if hasattr(config, "workerinput") or os.environ.get("TEST_DATABASE_URL"):
        os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
        return
    from shop.database import start

    folder = Path(tempfile.mkdtemp(prefix="visualsearch-test-"))
    # The data is thrown away: nothing needs to reach the disk.
    quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100"}
    server = start(folder / "postgres", cleanup="delete", **quick)
    STARTED.update(server=server, folder=folder)
    os.environ["TEST_DATABASE_URL"] = os.environ["DATABASE_URL"] = server.get_uri(database="postgres")
    os.environ["VISUALSEARCH_TEST_MEDIA"] = str(folder / "media")


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := STARTED.pop("server", None):
        server.cleanup()
        shutil.rmtree(STARTED.pop("folder"), ignore_errors=True)


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> Path:
    """Every test writes its files to a folder of its own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"real pictures are not there: {SHARED / 'data'}")
    return SHARED / "data"


@pytest.fixture
def clothing(shared_data: Path) -> list[Path]:
    """Real photographs of clothes, about 400 x 534 pixels."""
    return sorted((shared_data / "clothing" / "test").glob("*/*.jpg"))


@pytest.fixture
def use_settings(settings: Any) -> Iterator[Any]:
    """Changes single VISUALSEARCH settings for one test: ``use_settings(EF_SEARCH=40)``."""

    def change(**changes: Any) -> None:
        settings.VISUALSEARCH = {**settings.VISUALSEARCH, **changes}

    return change


@pytest.fixture
def fake_encoder(use_settings: Any) -> None:
    """Colour thumbnails instead of a network, for tests that are not about what a picture shows."""
    use_settings(ENCODER="visualsearch.testing.FakeEncoder")
