"""The PostgreSQL of one test run: started before Django reads its settings, thrown away at the end.

A pytest plugin of its own (see pyproject.toml), since pytest-django reads the settings before any conftest.py.
TEST_DATABASE_URL names another server.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The data is thrown away: nothing needs to reach the disk.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100"}

_started: dict[str, Any] = {}


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Starts one server for the whole run; xdist's workers inherit its address."""
    if "TEST_DATABASE_URL" not in os.environ:
        from shop.database import start

        folder = Path(tempfile.mkdtemp(prefix="visualsearch-test-"))
        server = start(folder / "postgres", cleanup="delete", **QUICK)
        _started.update(server=server, folder=folder)
        os.environ["TEST_DATABASE_URL"] = server.get_uri(database="postgres")
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
    return (yield)


def pytest_unconfigure() -> None:
    if server := _started.pop("server", None):
        server.cleanup()
        shutil.rmtree(_started.pop("folder"), ignore_errors=True)
