"""A customer's photo on its way in: held in memory, never on disk, and refused by its header where it is too large."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest

from visualsearch.conf import conf

FORM = 256 * 1024  # bytes of a form beside its photo: filters, a query token, the copy that is shown beside results


class InMemory(MemoryFileUploadHandler):
    """Django writes larger uploads to its temporary folder, where a process that is killed leaves them behind."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.activated = True  # whatever FILE_UPLOAD_MAX_MEMORY_SIZE says: MAX_BYTES is the limit


def is_too_large(request: HttpRequest) -> bool:
    """Whether the request says that it has more bytes than a photo and its form may. Nothing of it is read."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0) > int(conf.MAX_BYTES) + FORM
    except ValueError:
        return False
