"""A queue that keeps its tasks until a test runs them: ``VISUALSEARCH["ENQUEUE"] = "tests.recorded_queue.enqueue"``."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.utils.module_loading import import_string


class Task(NamedTuple):
    function: str
    args: tuple[Any, ...]
    delay: float


tasks: list[Task] = []


def enqueue(function: str, *args: Any, delay: float = 0) -> None:
    tasks.append(Task(function, args, delay))


def take() -> list[Task]:
    """The tasks so far, which are then no longer there."""
    taken = list(tasks)
    tasks.clear()
    return taken


def run() -> int:
    """Runs every task that is due at once, and those that they queue. Returns how many ran."""
    count = 0
    while due := [task for task in tasks if not task.delay]:
        for task in due:
            tasks.remove(task)
            import_string(task.function)(*task.args)
            count += 1
    return count
