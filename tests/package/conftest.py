from __future__ import annotations

from pathlib import Path

import pytest

from tests.package.building import VirtualEnvironment, build_wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> VirtualEnvironment:
    """A virtual environment with the wheel and what it cannot do without: no extra, nothing of this checkout."""
    environment = VirtualEnvironment(tmp_path_factory.mktemp("venv") / "bare")
    environment.install(str(wheel), "psycopg[binary]")
    return environment
