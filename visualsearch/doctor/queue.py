"""Whether a task goes through the queue: one is queued, and its answer is waited for. Whether drift is looked for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.apps import apps
from django.db import DatabaseError
from django.utils import timezone
from django.utils.timesince import timesince

from visualsearch import upkeep, workers
from visualsearch.conf import DEFAULTS, conf
from visualsearch.doctor.finding import Finding, Verdict, in_words
from visualsearch.models import QueueProbe
from visualsearch.sources import all_sources

POLL = 0.1  # seconds
LATE = timedelta(hours=1)  # a cluster looks for what is due every half minute


def answer(token: str) -> None:
    """Task: says that it was run. A probe that nobody waits for any more is gone."""
    QueueProbe.objects.filter(pk=token, answered_at=None).update(answered_at=timezone.now())


def queue(wait: float) -> Iterator[Finding]:
    """By the queue of the setting ENQUEUE, whichever that is. ``wait`` is in seconds."""
    probe = QueueProbe.objects.create(token=uuid.uuid4())
    try:
        start = time.monotonic()
        try:
            conf.load("ENQUEUE")("visualsearch.doctor.queue.answer", str(probe.pk))
        except Exception as error:  # any queue library's own errors, or a server that does not answer
            todo = "See that the queue's server runs, and the settings ENQUEUE and Q_CLUSTER."
            yield Finding("queue", Verdict.WRONG, f"No task can be queued: {in_words(error)}.", todo)
            return
        while time.monotonic() - start < wait:
            if QueueProbe.objects.filter(pk=probe.pk, answered_at__isnull=False).exists():
                said = f"A task was queued and done in {time.monotonic() - start:.1f} s."
                yield Finding("queue", Verdict.OK, said)
                return
            time.sleep(POLL)
        yield _nobody(wait)
    finally:
        probe.delete()


def reconcile() -> Iterator[Finding]:
    """Whether django-q2 looks for drift at regular times; a shop on another queue has a scheduler of its own."""
    if DEFAULTS["ENQUEUE"] != conf.ENQUEUE:
        return
    entry = upkeep.scheduled()
    if entry is None:
        said = "Nothing looks for images that came past the signals, or that were lost with a worker."
        todo = "Run once: manage.py visualsearch_reconcile --schedule daily --fix --since 2d"
        yield Finding("reconcile", Verdict.ADVICE, said, todo)
        return
    every = f"Drift is looked for {entry.get_schedule_type_display().lower()}"
    if entry.next_run < timezone.now() - LATE:
        said = f"{every}, and has been due for {timesince(entry.next_run)}."
        yield Finding("reconcile", Verdict.WRONG, said, f"Start a worker whose scheduler is on: {_start()}")
        return
    yield Finding("reconcile", Verdict.OK, f"{every}, next {timezone.localtime(entry.next_run):%Y-%m-%d %H:%M}.")


def _nobody(wait: float) -> Finding:
    seen = max((at for source in all_sources() if (at := workers.last_seen(source.name))), default=None)
    since = f"a worker was last seen {timesince(seen)} ago" if seen else "no worker was ever seen"
    said = f"A task was queued, and nobody did it in {wait:g} s{_waiting()}; {since}."
    if not workers.is_silent(seen):
        todo = "The worker may be busy: look again with --timeout 300. If the queue does not get shorter, restart it."
        return Finding("queue", Verdict.WRONG, said, todo)
    return Finding("queue", Verdict.WRONG, said, "Start a worker, and have it started with the machine: " + _start())


def _start() -> str:
    return "manage.py qcluster" if DEFAULTS["ENQUEUE"] == conf.ENQUEUE else "that of the queue which ENQUEUE names"


def _waiting() -> str:
    """How many tasks are in django-q2's queue, where that is in the database."""
    if DEFAULTS["ENQUEUE"] != conf.ENQUEUE or not apps.is_installed("django_q"):
        return ""
    try:
        return f"; tasks that wait: {apps.get_model('django_q', 'OrmQ').objects.count()}"
    except DatabaseError:  # another broker, whose tables were never made
        return ""
