"""The demo shop's settings, for tests: a database of their own, no files kept."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("SECRET_KEY", "only for tests")

from shop.settings import *  # noqa: F403
from shop.settings import BASE_DIR, INSTALLED_APPS, Q_CLUSTER, VISUALSEARCH

DEBUG = False
SHARED = BASE_DIR.parent / "shared"
INSTALLED_APPS = [*INSTALLED_APPS, "tests.goods"]
MEDIA_ROOT = Path(os.environ.get("VISUALSEARCH_TEST_MEDIA") or BASE_DIR / "var" / "test-media")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
VISUALSEARCH = {
    **VISUALSEARCH,
    "MODEL_CACHE": BASE_DIR / "var" / "test-models",
    "ENCODER": "mobilenet_v2",
    "WEIGHTS": None,
    "COUNT_EVERY": 0,  # no thread writes beside a test, unless it is about that
}

# Processes that tests start (queue clusters, servers) are given their differences this way.
DIFFERENCES: dict[str, dict[str, Any]] = {"VISUALSEARCH": VISUALSEARCH, "Q_CLUSTER": Q_CLUSTER}
for name, values in json.loads(os.environ.get("VISUALSEARCH_TEST_SETTINGS", "{}")).items():
    DIFFERENCES[name].update(values)
