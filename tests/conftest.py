"""Real pictures, files that are thrown away, and settings for one test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
LONG = ("slow", "queue", "browser", "fault")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long go first, then those of many tests: a worker that is given a long one last works on alone,
    with nothing left for the others. By itself xdist has files of one test last (``--no-loadscope-reorder``)."""
    tests = Counter(item.path for item in items)
    long = {item.path for item in items if any(map(item.get_closest_marker, LONG))}

    def place(item: pytest.Item) -> tuple[bool, int, str]:
        is_long = item.path in long
        return not is_long, tests[item.path] * (1 if is_long else -1), str(item.path)

    items.sort(key=place)


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
def binds_on_server(transactional_db: None) -> Iterator[None]:
    """The database's OPTIONS have server_side_binding on, for a connection of this test's own."""
    from django.db import connection

    given = connection.settings_dict["OPTIONS"]
    connection.settings_dict["OPTIONS"] = {**given, "server_side_binding": True}
    connection.close()
    yield
    connection.settings_dict["OPTIONS"] = given
    connection.close()


@pytest.fixture
def fake_encoder(use_settings: Any) -> None:
    """Colour thumbnails instead of a network, for tests that are not about what a picture shows."""
    use_settings(ENCODER="visualsearch.testing.FakeEncoder")


@pytest.fixture
def queue(use_settings: Any) -> Iterator[Any]:
    """Tasks are kept until the test runs them with ``queue.run()``."""
    from tests import recorded_queue

    use_settings(ENQUEUE="tests.recorded_queue.enqueue")
    recorded_queue.tasks.clear()
    yield recorded_queue
    recorded_queue.tasks.clear()
