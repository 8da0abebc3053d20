"""What operators set going: changes of the version in use, and long work that the queue does in short steps.

Each step queues the next one behind what waits already, so that a saved image never waits for a whole catalogue.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from django.utils import timezone

from visualsearch import drift, indexing, lifecycle, pausing, tasks, workers
from visualsearch.conf import DEFAULTS, conf
from visualsearch.drift import Drift
from visualsearch.exceptions import AnotherOperator, SourceNotRegistered, VersionRefused, VisualSearchError
from visualsearch.lifecycle import Switch
from visualsearch.lifecycle.building import pace
from visualsearch.models import VisualIndex
from visualsearch.sources import ImageSource, all_sources, get_source
from visualsearch.stores import get_store

logger = logging.getLogger(__name__)

SCHEDULE = "visualsearch_reconcile"  # the name of django-q2's entry
REST = 30.0  # seconds after which a long task lets others go first; a quarter of the demo's time-out


def queue_build(index: VisualIndex, rate: float | None = None) -> None:
    """Has the version built by the queue, with at most ``rate`` images a second."""
    conf.load("ENQUEUE")("visualsearch.upkeep.build", index.pk, None, rate)


def build(version: int, after: str | None = None, rate: float | None = None, waiting: int = 0, tries: int = 0) -> None:
    """Task: the next step of a build. ``after`` is the key of the last image that was looked at, ``waiting`` the images
    of this pass whose storage failed, ``tries`` the passes that ended so.

    A version that is thrown away or built by somebody else ends it quietly; other errors are raised, so that the queue
    keeps the task and its reason.
    """
    index = VisualIndex.objects.filter(pk=version, state=VisualIndex.State.BUILDING).first()
    if index is None:
        logger.info("Version %s is not being built any more.", version)
        return
    if pausing.hold(index.source, "visualsearch.upkeep.build", version, after, rate, waiting, tries):
        return
    workers.seen()
    start = time.monotonic()
    try:
        source = get_source(index.source)
        step = lifecycle.build_step(index, source, after, pace(conf.CHUNK, rate))
    except (AnotherOperator, SourceNotRegistered, VersionRefused) as error:
        logger.info("Version %s: %s", version, error)
        return
    if step.last is not None:
        if rate:
            time.sleep(max(0.0, step.outcome.total / rate - (time.monotonic() - start)))
        waiting += sum(map(len, step.outcome.retry.values()))
        _queue(version, step.last, rate, waiting, tries)
    elif waiting:
        delays = conf.RETRY_DELAYS
        _queue(version, None, rate, 0, tries + 1, delay=delays[min(tries, len(delays) - 1)])
    elif after is not None:
        _queue(version, None, rate, 0, tries)  # once more from the start, for what was saved meanwhile
    else:
        get_store().prepare(index)
        logger.info("%s: version %s is built.", source, version)


def _queue(version: int, after: str | None, rate: float | None, waiting: int, tries: int, *, delay: float = 0) -> None:
    conf.load("ENQUEUE")("visualsearch.upkeep.build", version, after, rate, waiting, tries, delay=delay)


def activate(source: ImageSource, index: VisualIndex, **options: object) -> tuple[Switch, int]:
    """``lifecycle.activate``, and queues what the version lacks. Returns the number of images queued, too."""
    return lifecycle.activate(source, index, **options), catch_up(source)  # type: ignore[arg-type]


def rollback(source: ImageSource, *, force: bool = False) -> tuple[Switch, int]:
    """``lifecycle.rollback``, and queues what was saved since. Returns the number of images queued, too."""
    return lifecycle.rollback(source, force=force), catch_up(source)


def queue_prune(source: ImageSource, version: int | None = None) -> None:
    """Has the queue throw away this version, or all retired ones but the last."""
    conf.load("ENQUEUE")("visualsearch.upkeep.prune", source.name, version)


def prune(name: str, version: int | None = None) -> None:
    """Task: ``lifecycle.prune``. What it refuses is logged; run again, it goes on where it stopped."""
    try:
        source = get_source(name)
        gone = lifecycle.prune(source, only=None if version is None else lifecycle.version(source, version))
    except (AnotherOperator, SourceNotRegistered, VersionRefused) as error:
        logger.warning("%s: nothing was thrown away: %s", name, error)
        return
    logger.info("%s: versions thrown away: %s", source, ", ".join(map(str, gone)) or "none")


def resume(source: ImageSource) -> int | None:
    """Ends a pause, and queues the tasks that were kept meanwhile, images that came several times once. Returns the
    number of images; None where nothing was paused."""
    images: dict[bool, dict[str, None]] = {}
    others: dict[str, tuple[str, list[Any]]] = {}
    with pausing.resumed(source) as held:
        if held is None:
            return None
        for task in held:
            if task.function == "visualsearch.tasks.index_images":
                _, pks, force = task.arguments
                images.setdefault(force, {}).update(dict.fromkeys(pks))
            else:
                others[f"{task.function} {task.arguments}"] = (task.function, task.arguments)
        for function, arguments in others.values():
            conf.load("ENQUEUE")(function, *arguments)
        return sum(tasks.enqueue_images(source.name, pks, force=force) for force, pks in images.items())


def catch_up(source: ImageSource) -> int:
    """Queues the images that the active version lacks."""
    index = lifecycle.ensure_active(source)
    pks = indexing.out_of_date(index, source).order_by("pk").values_list("pk", flat=True)
    return tasks.enqueue_images(source.name, pks.iterator(chunk_size=conf.CHUNK))


def reconcile_all(fix: bool = False, hours: float | None = None) -> None:
    """Task: queues ``reconcile`` for every source. ``hours`` limits the files that are read to those modified since."""
    for source in all_sources():
        conf.load("ENQUEUE")("visualsearch.upkeep.reconcile", source.name, fix, hours)


def reconcile(
    name: str,
    fix: bool = False,
    hours: float | None = None,
    after: str | None = None,
    found: dict[str, int] | None = None,
) -> None:
    """Task: looks for drift, and with ``fix`` queues its repair. It takes REST seconds at most and then queues its own
    continuation after the key ``after``, with the cases ``found`` so far by kind."""
    try:
        source = get_source(name)
    except SourceNotRegistered as error:
        logger.error("%s The task is dropped.", error)
        return
    if fix and pausing.hold(name, "visualsearch.upkeep.reconcile", name, fix, hours, after, found):
        return
    counts, end = Counter(found or {}), time.monotonic() + REST
    if after is None:
        _meet(source, fix, counts, [*drift.survey(source, escalate=False), *drift.leftovers()])
    since = None if hours is None else timezone.now() - timedelta(hours=hours)
    while (step := drift.step(source, after, since, conf.CHUNK)).last is not None:
        _meet(source, fix, counts, step.drift)
        after = step.last
        if time.monotonic() > end:
            conf.load("ENQUEUE")("visualsearch.upkeep.reconcile", name, fix, hours, after, dict(counts))
            return
    level = logging.WARNING if counts else logging.INFO
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"
    logger.log(level, "%s: drift%s: %s", source, " (repairs are queued)" if fix and counts else "", said)


def _meet(source: ImageSource, fix: bool, counts: Counter[str], cases: list[Drift]) -> None:
    counts.update(case.kind.value for case in cases)
    if not fix or not cases:
        return
    drift.mend(source, cases, lambda pks, force: _queued(source, pks, force))
    if any(case.kind is drift.Kind.VECTOR_WRONG for case in cases):
        # One in a sample stands for many that were not looked at.
        pks = source.with_file().order_by("pk").values_list("pk", flat=True)
        tasks.enqueue_images(source.name, pks.iterator(chunk_size=conf.CHUNK), force=True)


def _queued(source: ImageSource, pks: list[str], force: bool) -> int:
    tasks.enqueue_images(source.name, pks, force=force)
    return 0


def schedule(every: str | None, *, fix: bool = False, hours: float | None = None) -> None:
    """Has django-q2 reconcile all sources hourly, daily or weekly; never with None. Said again, it says the same.

    Raises MissingExtra, and VisualSearchError where the shop has another queue.
    """
    if DEFAULTS["ENQUEUE"] != conf.ENQUEUE:
        raise VisualSearchError(
            "ENQUEUE is not django-q2's: have your own scheduler run manage.py visualsearch_reconcile --fix instead."
        )
    tasks.repeat(SCHEDULE, "visualsearch.upkeep.reconcile_all", fix, hours, every=every)


def scheduled() -> Any | None:
    """django-q2's entry for it; None where there is none. Raises MissingExtra."""
    return tasks.repeated(SCHEDULE)
