"""Management commands as an operator runs them, and what they print."""

from __future__ import annotations

import io
import subprocess
import sys

from django.core.management import CommandError, call_command

from benchmarks.stage import BASE_DIR


def elsewhere(*command: str) -> str:
    """In a process of its own. Raises CommandError for another exit status than 0 where nothing is printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=BASE_DIR, capture_output=True, text=True, check=False
    )
    if done.returncode and not done.stdout:
        raise CommandError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def here(*command: str) -> str:
    """In this process, which is quicker to start."""
    out = io.StringIO()
    try:
        call_command(*command, stdout=out, stderr=io.StringIO())
    except CommandError:
        if not out.getvalue():
            raise
    return out.getvalue()
