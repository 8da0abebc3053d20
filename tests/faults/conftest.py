"""What the faults happen to: a small shop, with real processes and a real model where they matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the processes of a test print."""
    return tmp_path / "processes.log"


@pytest.fixture
def real_encoder(use_settings: Any) -> None:
    """The model in the package, which is there everywhere."""
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=None)
