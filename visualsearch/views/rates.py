"""How often a visitor may search: the API's own rates, counted together with it."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest


def wait(request: HttpRequest, *, photo: bool) -> int:
    """Seconds until this visitor may search again; 0: now, and the search is counted.

    ``photo``: a picture is decoded and encoded (``PHOTO_RATE``); else ``SIMILAR_RATE``. There is no rate where
    the API's extra is not installed (docs/storefront.md).
    """
    if importlib.util.find_spec("rest_framework") is None:
        return 0
    from visualsearch.api.throttles import PhotoThrottle, SimilarThrottle

    asking: Any = request
    if not hasattr(request, "user"):  # a shop without accounts
        asking.user = AnonymousUser()
    throttle: Any = PhotoThrottle() if photo else SimilarThrottle()
    if throttle.allow_request(asking, None):
        return 0
    return max(1, math.ceil(throttle.wait() or 1))
