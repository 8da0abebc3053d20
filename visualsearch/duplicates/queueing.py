"""Searches that the queue does, in steps that let other tasks go first."""

from __future__ import annotations

import logging
import time

from visualsearch.conf import conf
from visualsearch.duplicates.searching import begin, step
from visualsearch.exceptions import AnotherOperator, SourceNotRegistered
from visualsearch.models import DuplicateSearch
from visualsearch.sources import ImageSource

logger = logging.getLogger(__name__)

REST = 30.0  # seconds after which a task lets others go first


def queue_search(source: ImageSource) -> DuplicateSearch:
    """Begins a search and has the queue do it. Raises VersionRefused."""
    found = begin(source)
    conf.load("ENQUEUE")("visualsearch.duplicates.queueing.go_on", found.pk)
    return found


def go_on(number: int) -> None:
    """Task: the next steps of a search, for REST seconds at most. Handed out twice, or after it was given up for
    another search, it ends quietly."""
    found = DuplicateSearch.objects.select_related("index").filter(pk=number, finished_at__isnull=True).first()
    if found is None:
        logger.info("Search %s for near-duplicates is over.", number)
        return
    end = time.monotonic() + REST
    try:
        while step(found):
            if time.monotonic() > end:
                conf.load("ENQUEUE")("visualsearch.duplicates.queueing.go_on", number)
                return
    except (AnotherOperator, SourceNotRegistered) as error:
        logger.info("Search %s for near-duplicates: %s", number, error)
        return
    logger.info("%s: %d images were looked through for near-duplicates.", found.source, found.images)
