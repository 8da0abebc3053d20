"""The demo shop's settings for a benchmark: its own database, files and models, named by the environment (stage.py)."""

from __future__ import annotations

import json
import os

os.environ.setdefault("SECRET_KEY", "only for benchmarks")

from shop.settings import *  # noqa: F403
from shop.settings import BASE_DIR, VISUALSEARCH

ROOT_URLCONF = "benchmarks.urls"
MEDIA_ROOT = os.environ["BENCHMARK_MEDIA"]
VISUALSEARCH = {
    **VISUALSEARCH,
    "MODEL_CACHE": BASE_DIR / "var" / "bench-models",
    **json.loads(os.environ["BENCHMARK_VISUALSEARCH"]),
}
# django-q2 writes a line for every task, unless its logger has a handler.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {name: {"handlers": ["console"], "level": "WARNING"} for name in ("django-q", "visualsearch")},
}
