"""The worker of visualsearch.contrib.serving with little patience, so that tests need little too."""

from __future__ import annotations

from visualsearch.contrib.serving import Worker


class QuickWorker(Worker):
    SECONDS = 1.0
    UPLOAD_RATE = 1024.0 * 1024
    DOWNLOAD_RATE = 1024.0 * 1024
