"""What the actions do: enqueue, and say how many."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from django.contrib import messages
from django.db import router, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from visualsearch import tasks
from visualsearch.models import ImageEmbedding

logger = logging.getLogger(__name__)


def queue(request: HttpRequest, wanted: Mapping[str, Collection[Any]]) -> None:
    """Queues images, given as primary keys by source name, and tells the user the count or what went wrong."""
    try:
        # All or none; and under ATOMIC_REQUESTS a queue in the same database must not spoil the request's transaction.
        with transaction.atomic(using=router.db_for_write(ImageEmbedding)):
            count = sum(tasks.enqueue_images(source, pks, force=True) for source, pks in wanted.items())
    except Exception as error:  # any queue library's own errors, or a server that does not answer
        logger.warning("Images could not be queued from the admin: %s", error, exc_info=True)
        messages.error(request, _("The images could not be queued: %(reason)s") % {"reason": in_words(error)})
        return
    if not count:
        messages.warning(request, _("There is no image to index in this selection."))
        return
    text = ngettext("%(count)d image is queued to be indexed.", "%(count)d images are queued to be indexed.", count)
    messages.success(request, text % {"count": count})


def in_words(error: Exception) -> str:
    """The first line of an error's text, or its kind where it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
