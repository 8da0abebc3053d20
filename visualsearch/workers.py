"""Whether a worker is there: each says so every half minute, and when it has done a task.

The time is kept in the database, since django-q2's own heartbeat goes to Django's cache, which by default is another
one in each process.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime

from django.db import Error, connections, router
from django.utils import timezone

from visualsearch.models import IndexedSource
from visualsearch.sources import all_sources

logger = logging.getLogger(__name__)

BEAT = 30.0  # seconds between two signs of life
SILENCE = 3 * BEAT  # seconds after which a worker is taken to be gone
_SELDOM = 10.0  # seconds within which a second task's end says nothing new

_last_sign = float("-inf")


def seen(*, always: bool = False) -> None:
    """Notes that a worker of this process's sources is there now. A shop on a queue of its own may call it from a task
    that runs every minute."""
    global _last_sign
    if not always and time.monotonic() - _last_sign < _SELDOM:
        return
    now = timezone.now()
    IndexedSource.objects.bulk_create(
        [IndexedSource(name=name, worker_seen_at=now) for name in sorted(source.name for source in all_sources())],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["worker_seen_at"],
    )
    _last_sign = time.monotonic()


def last_seen(name: str) -> datetime | None:
    """When a worker that knows this source was there last; None before the first."""
    return IndexedSource.objects.filter(pk=name).values_list("worker_seen_at", flat=True).first()


def is_silent(seen_at: datetime | None) -> bool:
    """Whether that is too long ago for a worker that runs."""
    return seen_at is None or (timezone.now() - seen_at).total_seconds() > SILENCE


def keep_beating() -> threading.Thread:
    """Starts a thread that gives a sign of life every BEAT seconds, for as long as this process lives."""
    thread = threading.Thread(target=_beat_on, name="visualsearch-heartbeat", daemon=True)
    thread.start()
    return thread


def _beat_on() -> None:
    well = True
    while True:
        well = _beat(well)
        time.sleep(BEAT)


def _beat(well: bool) -> bool:
    """One sign of life. A database that is away is said once, when it goes."""
    try:
        seen(always=True)
    except Error as error:
        if well:
            logger.warning("The worker's sign of life cannot be written: %s", type(error).__name__)
        return False
    finally:
        connections[router.db_for_write(IndexedSource)].close()
    return True
