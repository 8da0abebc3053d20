from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _colours_and_queue(transactional_db: None, fake_encoder: None, queue: Any) -> None:
    """These tests are about rows: real commits, colours for vectors, tasks that run when the test says so."""
