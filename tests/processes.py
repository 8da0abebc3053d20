"""Real processes for tests: manage.py commands and queue clusters on the test's own database and files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def environment(**changes: dict[str, Any]) -> dict[str, str]:
    """The environment of a process that shares this test's database and media folder."""
    server, _, _ = os.environ["TEST_DATABASE_URL"].partition("/postgres?")
    query = os.environ["TEST_DATABASE_URL"].partition("?")[2]
    own = {name: value for name, value in settings.VISUALSEARCH.items() if isinstance(value, str | int | list | tuple)}
    differences = {**changes, "VISUALSEARCH": {**own, **changes.get("VISUALSEARCH", {})}}
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}?{query}",
        "VISUALSEARCH_TEST_MEDIA": str(settings.MEDIA_ROOT),
        "VISUALSEARCH_TEST_SETTINGS": json.dumps(differences),
    }


@contextmanager
def running(*command: str, log: Path, **changes: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """A manage.py command in a process group of its own, ended with the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environment(**changes),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the process and all its children at once: nobody gets to clean up."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(15)


def wait_until(condition: Callable[[], Any], seconds: float, log: Path | None = None, every: float = 0.1) -> Any:
    """The condition's first true value. Fails the test, with the end of the log, when the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(every)
    tail = log.read_text(errors="replace")[-3000:] if log and log.exists() else ""
    raise AssertionError(f"It did not come true in {seconds} s. {tail}")
