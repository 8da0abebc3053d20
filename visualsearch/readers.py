"""Threads that read files of a storage which may hang: one read that does not end holds up no other."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

SHORTEST = 0.5  # seconds, of the limit of a read however many did not end before it

_thread = threading.local()


class Overdue(TimeoutError):
    """The storage did not answer in time."""


class Read(Generic[T]):
    """One read, waiting, under way or done."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.begun: float | None = None
        self.answered = False
        self.given_up = False
        self.done = threading.Event()
        self.value: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        self.begun = time.monotonic()
        _thread.read = self
        try:
            self.value = self.work()
        except BaseException as error:  # raised where the result is asked for
            self.error = error
        self.done.set()

    def left(self, limit: float) -> float:
        """Seconds that it may take yet, of ``limit``. One that has not begun waits for others, which are given up in
        time themselves; one that is answered is at work."""
        return limit if self.begun is None or self.answered else self.begun + limit - time.monotonic()


def answered() -> None:
    """Called by a read when the storage has answered: what it does from there on, such as decoding, has no limit."""
    if read := getattr(_thread, "read", None):
        read.answered = True


class Readers:
    """A few threads, for the length of a block. ``limit`` is in seconds, of each read from when it begins.

    A thread that does not come back is left alone and another takes its place; it is a daemon, so that no process waits
    for it at its end. Each such read halves the limit of the next, so that a storage that hangs altogether is waited
    for twice the limit or little more.
    """

    def __init__(self, threads: int, limit: float) -> None:
        self._limit = limit
        self._waiting: queue.SimpleQueue[Read[object] | None] = queue.SimpleQueue()
        self._threads = 0
        for _ in range(max(1, threads)):
            self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while True:  # what nobody asked for the result of is not begun any more
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
        for _ in range(self._threads):
            self._waiting.put(None)

    def submit(self, work: Callable[[], T]) -> Read[T]:
        read = Read(work)
        self._waiting.put(read)  # type: ignore[arg-type]
        return read

    def result(self, read: Read[T]) -> T:
        """What the read came to. Raises what it raised, and Overdue. To be asked for in the order of submission."""
        while not read.done.wait(max(0.0, read.left(self._limit))):
            if read.left(self._limit) <= 0:
                read.given_up = True
                self._start()
                waited, self._limit = self._limit, max(SHORTEST, self._limit / 2)
                raise Overdue(f"The storage did not answer in {waited:g} seconds.")
        if read.error is not None:
            raise read.error
        return read.value  # type: ignore[return-value]

    def _start(self) -> None:
        self._threads += 1
        threading.Thread(target=self._run, name="visualsearch", daemon=True).start()

    def _run(self) -> None:
        while (read := self._waiting.get()) is not None:
            read.run()
            if read.given_up:
                return


def within(limit: float, work: Callable[[], T]) -> T:
    """What ``work`` returns, done by a thread. Raises what it raises, and Overdue after ``limit`` seconds."""
    with Readers(1, limit) as readers:
        return readers.result(readers.submit(work))
