"""Several processes, each with a runtime and a model, that are measured in turns: what slows one slows all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.stage import BASE_DIR, CannotMeasure, say

BATCHES = (1, 8)
PACKAGES = BASE_DIR / "var" / "bench-packages"  # what benchmarks/requirements.txt names


@dataclass(frozen=True)
class Entry:
    """What one process runs: a runtime of ``measures.runtimes`` and its model."""

    name: str
    runtime: str
    model: Path
    width: float
    threads: int


@dataclass
class Contestant:
    """A process, what it said of itself when it was ready, and one value a round of each figure and batch size."""

    entry: Entry
    process: subprocess.Popen[str]
    log: IO[str]
    about: dict[str, Any] = field(default_factory=dict)
    ms: dict[int, list[float]] = field(default_factory=lambda: {batch: [] for batch in BATCHES})
    cpu_ms: dict[int, list[float]] = field(default_factory=lambda: {batch: [] for batch in BATCHES})
    mb: float = 0

    def turn(self, batch: int, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{batch} {seconds}\n")
        self.process.stdin.flush()
        found = self.answer()
        self.ms[batch].append(found["ms"])
        self.cpu_ms[batch].append(found["cpu_ms"])
        self.mb = max(self.mb, found["mb"])

    def answer(self) -> dict[str, Any]:
        """The process's next line. Raises CannotMeasure, with its last words, where it ended instead."""
        assert self.process.stdout is not None
        if line := self.process.stdout.readline():
            found: dict[str, Any] = json.loads(line)
            return found
        self.log.seek(0)
        words = [line for line in self.log.read().splitlines() if line.strip()] or ["it said nothing"]
        raise CannotMeasure(f"{self.entry.name} ended: {words[-1]}")

    def median(self, batch: int) -> float:
        return float(np.median(self.ms[batch]))

    def cpu_median(self, batch: int) -> float:
        return float(np.median(self.cpu_ms[batch]))

    def times_as_fast(self, other: Contestant, batch: int) -> float:
        """Median over the rounds of the other's time divided by this one's, in the same round."""
        return float(np.median(np.divide(other.ms[batch], self.ms[batch])))


@contextmanager
def contest(entries: Sequence[Entry]) -> Iterator[list[Contestant]]:
    """One process for each, started one after the other, so that none slows another's start; all end with it."""
    with ExitStack() as stack:
        yield [_started(entry, stack) for entry in entries]


def _started(entry: Entry, stack: ExitStack) -> Contestant:
    say(f"{entry.name}, width {entry.width}, {entry.threads} threads")
    log = stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115 - the stack closes it
    arguments = [entry.runtime, str(entry.model), str(entry.width), str(entry.threads)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.measures.runtimes", *arguments],
        cwd=BASE_DIR,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    contestant = Contestant(entry, process, log)
    contestant.about = contestant.answer()
    return contestant


def play(contestants: Sequence[Contestant], rounds: int, seconds: float) -> None:
    """Each has a turn of at least one call and some seconds for each batch size; a round later the next begins."""
    for number in range(rounds):
        first = number % len(contestants)
        for batch in BATCHES:
            for contestant in [*contestants[first:], *contestants[:first]]:
                contestant.turn(batch, seconds)
