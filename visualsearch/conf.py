"""The only reader of ``settings.VISUALSEARCH``. Every default stands here, beside its meaning."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

DEFAULTS: dict[str, Any] = {
    # Encoding
    "ENCODER": "mobilenet_v2",  # a bundled encoder's name, or a dotted path to an Encoder subclass
    "SOURCE_ENCODERS": {},  # {source: encoder} where a source's index is to be made with another than ENCODER
    "WEIGHTS": None,  # None: bundled; "imagenet", "random", a .weights.h5 or .tflite file; or {encoder: one of these}
    "RUNTIME": "litert",  # "litert", or "tensorflow" where a worker has a GPU
    "MODEL_CACHE": None,  # folder of exported models; None: ~/.cache/django-visualsearch
    "THREADS": min(2, os.cpu_count() or 1),  # threads of one encoder call
    # Pixels
    "IMAGE_FORMATS": ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "HEIF"),  # Pillow's names
    "MAX_BYTES": 25 * 1024 * 1024,  # of an image file
    "MAX_PIXELS": 50_000_000,  # of a picture that is decoded whole
    "MAX_JPEG_PIXELS": 200_000_000,  # of a JPEG, which is decoded at a reduced scale
    "MIN_SIDE": 16,  # pixels
    # Storing and searching
    "STORE": "visualsearch.stores.pgvector.PgVectorStore",  # dotted path of a Store
    "HNSW_M": 16,  # neighbours a node keeps in the graph
    "HNSW_EF_CONSTRUCTION": 64,  # candidates looked at while the graph is built
    "EF_SEARCH": 80,  # candidates looked at by a search; more is slower and more exact
    "DEFAULT_LIMIT": 12,  # results of a search that names no limit
    "MAX_LIMIT": 100,  # results that one search may ask for
    "SHOP": "",  # names this shop in query tokens, where several shops have the same SECRET_KEY
    # Queue
    "STORAGE_TIMEOUT": 20,  # seconds that one file may take to be read; then it is a storage fault, and tried again
    "ENQUEUE": "visualsearch.tasks.enqueue",  # dotted path of enqueue(function, *args, delay=0)
    "CHUNK": 64,  # images a task
    "RETRY_DELAYS": (30, 120, 600, 3600),  # seconds before each new try after a storage fault
    # Operations
    "COUNT_EVERY": 10,  # seconds between writes of the counts of searches; 0: searches are not counted
    "METRICS_TOKEN": None,  # what Prometheus sends as bearer token; None: nobody is shown the metrics
    # Pages
    "THUMBNAIL": "visualsearch.thumbnails.original",  # dotted path of thumbnail(file, side) -> Thumbnail
    "PHOTO_RATE": "20/min",  # default throttle of photo searches, for each client
    "SIMILAR_RATE": "240/min",  # default throttle of similar and state requests, for each client
}


class Conf:
    """Attribute access to the settings: ``conf.EF_SEARCH``. Raises ImproperlyConfigured for unknown keys."""

    def __getattr__(self, name: str) -> Any:
        if name not in DEFAULTS:
            raise AttributeError(name)
        return self._merged().get(name)

    @staticmethod
    @cache
    def _merged() -> dict[str, Any]:
        own = getattr(django_settings, "VISUALSEARCH", {})
        if unknown := sorted(set(own) - set(DEFAULTS)):
            raise ImproperlyConfigured(
                f"VISUALSEARCH has unknown keys: {', '.join(unknown)}. Valid keys: {', '.join(sorted(DEFAULTS))}."
            )
        return {**DEFAULTS, **own}

    def load(self, name: str) -> Any:
        """The object that a dotted-path setting names."""
        return import_string(getattr(self, name))

    @property
    def model_cache(self) -> Path:
        folder = self.MODEL_CACHE or Path.home() / ".cache" / "django-visualsearch"
        return Path(folder)

    def reset(self) -> None:
        self._merged.cache_clear()


conf = Conf()


def _reset(*, setting: str, **kwargs: object) -> None:
    if setting == "VISUALSEARCH":
        conf.reset()


setting_changed.connect(_reset)
