"""What operators set going: changes of the version in use, and long work that the queue does in short steps.

Each step queues the next one behind what waits already, so that a saved image never waits for a whole catalogue.
"""

from __future__ import annotations

import logging
import time

from visualsearch import indexing, lifecycle, tasks
from visualsearch.conf import conf
from visualsearch.exceptions import AnotherOperator, SourceNotRegistered, VersionRefused
from visualsearch.lifecycle import Switch
from visualsearch.lifecycle.building import pace
from visualsearch.models import VisualIndex
from visualsearch.sources import ImageSource, get_source
from visualsearch.stores import get_store

logger = logging.getLogger(__name__)


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


def catch_up(source: ImageSource) -> int:
    """Queues the images that the active version lacks."""
    index = lifecycle.ensure_active(source)
    pks = indexing.out_of_date(index, source).order_by("pk").values_list("pk", flat=True)
    return tasks.enqueue_images(source.name, pks.iterator(chunk_size=conf.CHUNK))
