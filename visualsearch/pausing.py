"""Pausing a source: the queue's tasks of it are kept instead of run until it is resumed, so that none is lost.

The pause is a row of the database, which every task asks for as it begins: it holds at once for all processes, but for
the task that each is in the middle of. What a person runs by ``--sync`` is no task and goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from visualsearch.models import HeldTask, IndexedSource
from visualsearch.sources import ImageSource


def paused_since(name: str) -> datetime | None:
    """When the source of this name was paused; None where it is at work."""
    return IndexedSource.objects.filter(pk=name).values_list("paused_at", flat=True).first()


def pause(source: ImageSource) -> bool:
    """Pauses the source. False where it was paused already."""
    IndexedSource.objects.get_or_create(pk=source.name)
    return bool(IndexedSource.objects.filter(pk=source.name, paused_at=None).update(paused_at=timezone.now()))


def hold(name: str, function: str, *arguments: Any) -> bool:
    """Keeps this task where its source is paused; False where it is to run now."""
    if paused_since(name) is None:
        return False
    with transaction.atomic(using=router.db_for_write(HeldTask)):
        # A resume takes the same lock: it finds this task, or this task finds the source at work again.
        if not IndexedSource.objects.select_for_update().filter(pk=name, paused_at__isnull=False).exists():
            return False
        HeldTask.objects.create(source_id=name, function=function, arguments=arguments)
    return True


@contextlib.contextmanager
def resumed(source: ImageSource) -> Iterator[list[HeldTask] | None]:
    """Resumes the source when the block ends well, and gives it the tasks to queue again; None where nothing is paused.

    One transaction: where they cannot be queued the source stays paused and keeps them.
    """
    with transaction.atomic(using=router.db_for_write(HeldTask)):
        paused = IndexedSource.objects.select_for_update().filter(pk=source.name, paused_at__isnull=False)
        if not paused.exists():
            yield None
            return
        held = list(HeldTask.objects.filter(source=source.name).order_by("pk"))
        yield held
        HeldTask.objects.filter(pk__in=[task.pk for task in held]).delete()
        paused.update(paused_at=None)


def held_tasks(name: str) -> int:
    """Tasks that wait for the source to be resumed."""
    return HeldTask.objects.filter(source=name).count()
