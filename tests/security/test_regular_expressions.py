"""No pattern of ours takes more than linear time, whatever it is given."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from typing import Any

import catalog
import visualsearch

LONG = 30_000  # characters: one pass takes a thousandth of a second, the square of it many seconds
FOREIGN = ("contrib.training", "migrations", "keras_zoo", "management", "contrib.serving")


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Every compiled pattern that stands in a module, also in its tuples and dicts."""
    for package in (visualsearch, catalog):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in found.name for part in FOREIGN):
                module = importlib.import_module(found.name)
                for name, value in vars(module).items():
                    yield from ((f"{found.name}.{name}", pattern) for pattern in inside(value))


def inside(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from inside(part)


def pumps(pattern: re.Pattern[Any]) -> Iterator[Any]:
    """Long texts of one or two of the characters that the pattern speaks of, none of which ends as it wants."""
    spoken = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    letters = sorted({*re.sub(r"\\x..|\\.|[][()*+?.|{}^$]", "", spoken)[:12], "a", " ", ";", "=", "\xff", "\0"})
    for first, second in zip(letters, letters[1:] + letters[:1], strict=True):
        for text in (first * LONG, (first + second) * (LONG // 2)):
            yield text if isinstance(pattern.pattern, str) else text.encode("latin-1")


def test_no_pattern_takes_the_square_of_a_text() -> None:
    found = dict(patterns())
    assert {"visualsearch.images.streams._MARKER", "visualsearch.api.bodies.DATA_URL"} <= set(found)
    slow = {}
    for name, pattern in found.items():
        started = time.thread_time()
        for text in pumps(pattern):
            pattern.search(text)
            pattern.match(text)
            if (spent := time.thread_time() - started) > 2:
                slow[name] = spent
                break
    assert slow == {}
