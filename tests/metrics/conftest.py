"""Searches that are counted, and written when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from visualsearch import usage


@pytest.fixture
def counting(fake_encoder: None, queue: Any, use_settings: Any) -> Iterator[None]:
    use_settings(COUNT_EVERY=3600)
    usage._counters = usage._Counters()
    yield
    if usage._counters._timer:
        usage._counters._timer.cancel()
    usage._counters = usage._Counters()
