"""What the queue runs. The only import of django_q; primary keys in, nothing else."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.utils import timezone

from visualsearch import lifecycle, pausing, workers
from visualsearch.conf import DEFAULTS, conf
from visualsearch.exceptions import MissingExtra, SourceNotRegistered, StoreError
from visualsearch.sources import ImageSource, get_source
from visualsearch.statements import settings_for

logger = logging.getLogger(__name__)

SKEW = timedelta(days=1)  # by which clocks of machines may differ, or be set back, without a task having to wait


def enqueue(function: str, *args: Any, delay: float = 0) -> None:
    """Hands a function's dotted path and its JSON arguments to django-q2, to run after ``delay`` seconds.

    The setting ENQUEUE names another callable of this signature for a shop on another queue. Raises MissingExtra.
    """
    try:
        from django_q.tasks import async_task, schedule
    except ImportError as error:
        raise MissingExtra("django-q2", "queue") from error
    with _without_waiting_for_the_disk():
        if delay:
            schedule(function, *args, schedule_type="O", next_run=timezone.now() + timedelta(seconds=delay))
        else:
            async_task(function, *args, group="visualsearch", save=False, broker=_broker())


def _broker() -> Any:
    """The broker of the shop's settings; one in the database writes through the connection that the save used.

    django-q2's own looks whether connections are too old before each write. With Django's default CONN_MAX_AGE of 0 it
    then opens a new one for every save, and with CONN_HEALTH_CHECKS it asks the server once more.
    """
    from django_q.brokers import get_broker, orm
    from django_q.conf import Conf
    from django_q.models import OrmQ

    class SameConnection(orm.ORM):  # type: ignore[misc]
        @staticmethod
        def get_connection(list_key: str | None = None) -> Any:
            return OrmQ.objects.using(Conf.ORM)

        def enqueue(self, task: str) -> Any:
            # Due by every clock: a worker takes what its own clock says is past.
            due = timezone.now() - SKEW
            return self.get_connection().create(key=self.list_key or Conf.CLUSTER_NAME, payload=task, lock=due).pk

    elsewhere = Conf.BROKER_CLASS or Conf.IRON_MQ or isinstance(Conf.SQS, dict) or not Conf.ORM
    return get_broker() if elsewhere else SameConnection()


@contextlib.contextmanager
def _without_waiting_for_the_disk() -> Iterator[None]:
    """The queue's rows are committed without waiting for the disk a second time after the image's own commit.

    Should the database's machine fail in the next half second, the task may be gone while the image is there. It is
    then pending, as after a crash between commit and enqueue, and visualsearch_reindex --missing takes it up. Inside a
    transaction nothing is done, since the setting would hold for the shop's own commit.
    """
    from django_q.conf import Conf

    connection = connections[Conf.ORM] if Conf.ORM else None
    if connection is None or connection.vendor != "postgresql" or connection.in_atomic_block:
        yield
        return
    with settings_for(connection, "SET LOCAL synchronous_commit = off; "):
        yield


def queue_length() -> int | None:
    """Tasks that wait in django-q2's queue; None where the shop has another."""
    if DEFAULTS["ENQUEUE"] != conf.ENQUEUE or not apps.is_installed("django_q"):
        return None
    return int(_broker().queue_size())


def repeat(name: str, function: str, *args: Any, every: str | None) -> None:
    """Has django-q2 run a function hourly, daily or weekly under this name, once whatever was asked before; with None
    never again. Raises MissingExtra."""
    try:
        from django_q.models import Schedule
    except ImportError as error:
        raise MissingExtra("django-q2", "queue") from error
    with transaction.atomic(using=router.db_for_write(Schedule)):
        known = Schedule.objects.select_for_update().filter(name=name).order_by("pk")
        first = known.first()
        known.exclude(pk=first.pk if first and every else None).delete()
        if every:
            kept = first or Schedule(name=name)
            kept.func, kept.args, kept.repeats = function, repr(args), -1
            kept.schedule_type = {"hourly": "H", "daily": "D", "weekly": "W"}[every]
            kept.save()


def repeated(name: str) -> Any | None:
    """What django-q2 runs under this name at regular times, its ``Schedule``; None for nothing. Raises MissingExtra."""
    try:
        from django_q.models import Schedule
    except ImportError as error:
        raise MissingExtra("django-q2", "queue") from error
    return Schedule.objects.filter(name=name).order_by("pk").first()


class _Batch(threading.local):
    """Primary keys saved in this thread's transaction, by database and source; the first hook to run takes all.

    Keys of a savepoint that was rolled back may travel with the others. That is harmless: a task finds no such image,
    or one that has not changed.
    """

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], dict[str, None]] = {}


_batch = _Batch()


def request(source: ImageSource, pk: Any, using: str = DEFAULT_DB_ALIAS) -> None:
    """Asks for an image to be indexed once the present transaction is committed."""
    if not connections[using].run_on_commit:
        _batch.keys.pop((using, source.name), None)  # of a transaction that was rolled back
    _batch.keys.setdefault((using, source.name), {})[str(pk)] = None
    transaction.on_commit(lambda: _flush(using, source.name), using=using, robust=True)


def _flush(using: str, source: str) -> None:
    if keys := _batch.keys.pop((using, source), None):
        enqueue_images(source, keys)


def enqueue_images(source: str, pks: Iterable[Any], *, force: bool = False, chunk: int | None = None) -> int:
    """Queues images in chunks. Returns how many."""
    total = 0
    for part in chunks(pks, chunk or conf.CHUNK):
        conf.load("ENQUEUE")("visualsearch.tasks.index_images", source, [str(pk) for pk in part], force)
        total += len(part)
    return total


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


def follow_workers() -> None:
    """Has each worker of django-q2 say that it is there, from its start on. For a shop that has django-q2 installed."""
    from django_q.signals import post_spawn

    post_spawn.connect(_spawned, dispatch_uid="visualsearch")


def _spawned(**kwargs: Any) -> None:
    workers.keep_beating()


def index_images(source_name: str, pks: list[str], force: bool = False) -> None:
    """Task: brings these images up to date, and queues those whose storage failed for another try. Where the source is
    paused, it is kept until that is over.

    Database errors and FingerprintMismatch are raised, so that the queue keeps the task and its reason.
    """
    try:
        source = get_source(source_name)
    except SourceNotRegistered as error:
        logger.error("%s The task is dropped.", error)
        return
    if pausing.hold(source_name, "visualsearch.tasks.index_images", source_name, pks, force):
        return
    outcome = lifecycle.index_images(source, pks, force=force)
    for attempts, again in outcome.retry.items():
        delay = conf.RETRY_DELAYS[attempts - 1]
        conf.load("ENQUEUE")("visualsearch.tasks.index_images", source_name, again, force, delay=delay)
    try:
        lifecycle.prepare(source)
    except StoreError as error:  # the images are indexed and found; the next task makes the graph, or reconcile does
        logger.error("%s: %s", source, error)
    workers.seen()
