"""Whether the shop's pictures can be read here: a few of them, at random, by the storage's own open()."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence

from django.db import connections

from visualsearch.doctor.finding import Finding, Verdict, in_words
from visualsearch.exceptions import ImageRefused
from visualsearch.images import read_limited
from visualsearch.sources import ImageSource

SAMPLE = 5  # pictures
PATIENCE = 15.0  # seconds for all of them


class Reading(threading.Thread):
    """Reads files one after the other; one that hangs holds up nobody but this thread."""

    def __init__(self, source: ImageSource, names: Sequence[str]) -> None:
        super().__init__(name="visualsearch-doctor", daemon=True)
        self.source, self.names = source, list(names)
        self.read: list[str] = []
        self.faults: dict[str, BaseException] = {}

    def run(self) -> None:
        for name in self.names:
            try:
                with contextlib.closing(self.source.storage.open(name, "rb")) as file:
                    read_limited(file)
                self.read.append(name)
            except ImageRefused:  # it was read, and is too large
                self.read.append(name)
            except Exception as fault:  # a storage may raise anything: its library's own errors, sockets, time-outs
                self.faults[name] = fault
        connections.close_all()  # a storage that lives in a database opened one for this thread


def storage(source: ImageSource) -> Iterator[Finding]:
    """A missing file is a fault of one picture; where all are missing it is the storage's."""
    names = list(source.with_file().order_by("?").values_list(source.image_field, flat=True)[:SAMPLE])
    if not names:
        yield Finding("storage", Verdict.OK, f"{source}: there is no picture to read yet.", "", source.name)
        return
    start = time.perf_counter()
    reading = Reading(source, names)
    reading.start()
    reading.join(PATIENCE)
    seconds = time.perf_counter() - start
    if reading.is_alive():
        said = f"{source}: the storage did not hand out {len(names)} pictures in {PATIENCE:.0f} s; it stopped at one."
        yield Finding("storage", Verdict.WRONG, said, _todo(source), source.name)
        return
    if not reading.faults:
        said = f"{source}: {len(names)} pictures were read in {seconds * 1000:.0f} ms."
        yield Finding("storage", Verdict.OK, said, "", source.name)
        return
    name, fault = next(iter(reading.faults.items()))
    missing = sum(isinstance(one, FileNotFoundError) for one in reading.faults.values())
    what = (
        f"are missing, e.g. {name}" if missing == len(reading.faults) else f"cannot be read: {name}: {in_words(fault)}"
    )
    said = f"{source}: {len(reading.faults)} of {len(names)} pictures {what}."
    todo = _todo(source) if not reading.read else "Put the files back, then run: manage.py visualsearch_reconcile --fix"
    yield Finding("storage", Verdict.WRONG, said, todo, source.name)


def _todo(source: ImageSource) -> str:
    where = getattr(source.storage, "location", None)
    if where:
        return f"Web and worker must both read {where} (MEDIA_ROOT): mount it here, and see who may read its files."
    return f"See that this machine reaches the storage ({type(source.storage).__name__}) and has its credentials."
