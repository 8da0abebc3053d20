"""How many searches there are and how long they take, over all processes, with next to nothing added to a search.

A search adds to counters of its own process. A few seconds later a thread adds these to the table's, in one statement
and over a connection of its own: no search waits for it, no transaction of the shop's holds it up, and a database that
does not take them leaves them where they are until the next time. A process that is killed takes its last seconds with
it.

The table and not Django's cache, since that is by default another one in each process; and not files that processes
share, since a container has its own. Counts of single days are kept for DAYS; older ones are added up under the day
FIRST, so that sums over the whole table never fall, as Prometheus has it of counters.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sized
from dataclasses import dataclass
from datetime import date, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import connections, router
from django.utils import timezone

from visualsearch.conf import conf
from visualsearch.exceptions import EncoderError, NoFeatureMap, StoreError, VisualSearchError
from visualsearch.models import SearchCount
from visualsearch.sources import ImageSource

logger = logging.getLogger(__name__)

BOUNDS = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000)  # milliseconds; then all longer
DAYS = 90
FIRST = date(1, 1, 1)

Kind = SearchCount.Kind
Outcome = SearchCount.Outcome
TIMED = (Outcome.ANSWERED, Outcome.EMPTY)  # whose time says how long a search takes
P = ParamSpec("P")
R = TypeVar("R", bound=Sized)

Key = tuple[str, date, str, str, int]  # source, day, kind, outcome, bucket
Sums = list[int]  # searches, microseconds


def counted(kind: Kind, source_of: Callable[..., ImageSource]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Counts the calls of a search. ``source_of`` finds its source by the same arguments; where it raises, there is
    nothing to count."""

    def decorate(search: Callable[P, R]) -> Callable[P, R]:
        @wraps(search)
        def count(*args: P.args, **kwargs: P.kwargs) -> R:
            source, start = source_of(*args, **kwargs).name, time.perf_counter()
            try:
                results = search(*args, **kwargs)
            except Exception as error:
                _record(source, kind, _outcome_of(error), time.perf_counter() - start)
                raise
            _record(source, kind, Outcome.ANSWERED if len(results) else Outcome.EMPTY, time.perf_counter() - start)
            return results

        return count

    return decorate


def _outcome_of(error: Exception) -> Outcome:
    """Refused where the question was wrong, failed where we have no answer to a right one."""
    ours = isinstance(error, (EncoderError, StoreError)) and not isinstance(error, NoFeatureMap)
    return Outcome.REFUSED if isinstance(error, VisualSearchError) and not ours else Outcome.FAILED


def _record(source: str, kind: Kind, outcome: Outcome, seconds: float) -> None:
    if not conf.COUNT_EVERY:
        return
    microseconds = round(seconds * 1e6)
    key = (source, timezone.localdate(), kind.value, outcome.value, bisect_left(BOUNDS, microseconds / 1000))
    _counters.add(key, 1, microseconds)
    if logger.isEnabledFor(logging.DEBUG):
        about = {"source": source, "kind": kind.value, "outcome": outcome.value, "ms": round(seconds * 1000, 1)}
        logger.debug("search: %(source)s %(kind)s %(outcome)s in %(ms)s ms", about, extra=about)


def _database() -> str:
    return str(connections.settings[router.db_for_write(SearchCount)]["NAME"])


class _Counters:
    """What this process counted and has not written yet. The keys are few, so a table that takes none costs nothing."""

    def __init__(self) -> None:
        self._sums: dict[Key, Sums] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._database = ""  # that the searches were made in
        self._folded: date | None = None
        self._well = True

    def add(self, key: Key, count: int, microseconds: int) -> None:
        with self._lock:
            sums = self._sums.setdefault(key, [0, 0])
            sums[0] += count
            sums[1] += microseconds
            self._database = _database()
            if self._timer is None:
                self._start_timer()

    def _start_timer(self) -> None:
        self._timer = threading.Timer(conf.COUNT_EVERY, self._write_beside)
        self._timer.daemon = True
        self._timer.name = "visualsearch-counts"
        self._timer.start()

    def _write_beside(self) -> None:
        try:
            self.write()
        finally:
            connections[router.db_for_write(SearchCount)].close()

    def write(self, *, again: bool = True) -> None:
        """Adds the counters to the table's. What it does not take is kept, to be tried ``again``, and said once."""
        with self._lock:
            sums, self._sums, self._timer = self._sums, {}, None
        if not sums or self._database != _database():
            return  # what a test run counted in its own database is not the shop's
        try:
            _add_to_table(sums)
            if self._folded != (today := timezone.localdate()):
                _fold(today - timedelta(days=DAYS))
                self._folded = today
        except Exception as error:  # nothing about counting may reach a search, nor the end of a process
            if self._well:
                logger.warning("Searches are counted, but cannot be written now: %s", type(error).__name__)
            self._well = False
            for key, (count, microseconds) in sums.items() if again else ():
                self.add(key, count, microseconds)
        else:
            self._well = True


def _add_to_table(sums: dict[Key, Sums]) -> None:
    # In one order, so that two processes never wait for each other.
    rows: list[tuple[Any, ...]] = [(*key, *counts) for key, counts in sorted(sums.items())]
    table = SearchCount._meta.db_table
    with connections[router.db_for_write(SearchCount)].cursor() as cursor:
        cursor.execute(  # a table's name of our own, and parameters alone
            f"INSERT INTO {table} AS old (source, day, kind, outcome, bucket, count, microseconds)"  # noqa: S608
            f" VALUES {', '.join(['(%s, %s, %s, %s, %s, %s, %s)'] * len(rows))}"
            " ON CONFLICT (source, day, kind, outcome, bucket) DO UPDATE"
            " SET count = old.count + excluded.count, microseconds = old.microseconds + excluded.microseconds",
            [value for row in rows for value in row],
        )


def _fold(before: date) -> None:
    """Adds the counts of days before this one up."""
    table = SearchCount._meta.db_table
    with connections[router.db_for_write(SearchCount)].cursor() as cursor:
        cursor.execute(
            f"WITH gone AS (DELETE FROM {table} WHERE day > %s AND day < %s RETURNING *)"  # noqa: S608
            f" INSERT INTO {table} AS old (source, day, kind, outcome, bucket, count, microseconds)"
            " SELECT source, %s, kind, outcome, bucket, sum(count), sum(microseconds) FROM gone"
            " GROUP BY source, kind, outcome, bucket"
            " ON CONFLICT (source, day, kind, outcome, bucket) DO UPDATE"
            " SET count = old.count + excluded.count, microseconds = old.microseconds + excluded.microseconds",
            [FIRST, before, FIRST],
        )


_counters = _Counters()


def write() -> None:
    """Writes what this process has counted, now."""
    _counters.write(again=False)


def _forget_parent() -> None:
    """A child process counts its own searches; the parent's are the parent's to write."""
    global _counters
    _counters = _Counters()


atexit.register(write)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


@dataclass(frozen=True)
class Usage:
    """Searches of one source on one day. Percentiles are of those answered, found or not, None without any."""

    searches: int = 0
    photos: int = 0
    empty: int = 0
    refused: int = 0
    failed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


def usage_of(source: str, day: date | None = None) -> Usage:
    """The searches of this day, today's without one. One query."""
    found = list(SearchCount.objects.filter(source=source, day=day or timezone.localdate()))

    def total(**wanted: str) -> int:
        return sum(row.count for row in found if all(getattr(row, name) == value for name, value in wanted.items()))

    answered = [0] * (len(BOUNDS) + 1)
    for row in found:
        if row.outcome in TIMED:
            answered[row.bucket] += row.count
    return Usage(
        searches=total(),
        photos=total(kind=Kind.PHOTO),
        empty=total(outcome=Outcome.EMPTY),
        refused=total(outcome=Outcome.REFUSED),
        failed=total(outcome=Outcome.FAILED),
        p50_ms=percentile(answered, 0.50),
        p95_ms=percentile(answered, 0.95),
    )


def percentile(counts: list[int], share: float) -> float | None:
    """Milliseconds that this share of the searches took at most, by a straight line within the bucket, as Prometheus's
    histogram_quantile does; the last bound for those beyond it."""
    if not (total := sum(counts)):
        return None
    rank, passed = share * total, 0
    for bucket, count in enumerate(counts[:-1]):
        if count and passed + count >= rank:
            low = BOUNDS[bucket - 1] if bucket else 0
            return round(low + (BOUNDS[bucket] - low) * (rank - passed) / count, 1)
        passed += count
    return float(BOUNDS[-1])
