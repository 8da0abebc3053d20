"""Draws many pictures, on every core. Knows no Django, so that a fresh process can import it alone."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from catalog.drawing import jpeg
from catalog.drawing.assortment import Item

MAX_PROCESSES = 8
WORTH_A_POOL = 24  # pictures; fewer are drawn before other processes have started
Job = tuple[Item, int]  # a product and the position of one of its pictures
Drawn = tuple[str, bytes]  # the picture's file name and the JPEG


def draw(job: Job) -> Drawn:
    item, position = job
    return item.file_name(position), jpeg(item.kind, item.look, item.views[position])


@contextmanager
def draughtsmen(pictures: int) -> Iterator[Callable[[list[Job]], Iterable[Drawn]]]:
    """Yields a function that draws a list of jobs in order: in several processes where that pays."""
    processes = min(_cores(), MAX_PROCESSES)
    if processes < 2 or pictures < WORTH_A_POOL:
        yield lambda jobs: map(draw, jobs)
        return
    # Fresh processes: a fork would share the caller's database connection and threads.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield lambda jobs: pool.map(draw, jobs, chunksize=4)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
