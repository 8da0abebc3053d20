"""Headers for answers that are right at the moment they are given, and at no later one.

A product may be unpublished, sold out or priced anew between two requests, so nothing may be shown again without
asking. Why each header is what it is: docs/api.md.
"""

from __future__ import annotations

import hashlib

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from rest_framework.response import Response

NEVER_STORED = "no-store"
ASKED_EACH_TIME = "private, no-cache"


def revalidated(request: HttpRequest, response: Response) -> Response:
    """Lets the client keep the answer but ask each time whether it still holds: 304 where its ETag does.

    The ETag is the hash of the body, known only once that is rendered.
    """
    response["Cache-Control"] = ASKED_EACH_TIME

    def finish(rendered: HttpResponse) -> HttpResponse | None:
        etag = f'"{hashlib.sha256(rendered.content).hexdigest()[:32]}"'
        rendered["ETag"] = etag
        return _not_modified(rendered) if _holds(request, etag) else None

    response.add_post_render_callback(finish)
    return response


def _holds(request: HttpRequest, etag: str) -> bool:
    """RFC 9110, 13.1.2: If-None-Match compares weakly, since a compressing middleware makes tags weak."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return known == ["*"] or etag in [tag.removeprefix("W/") for tag in known]


def _not_modified(full: HttpResponse) -> HttpResponse:
    """RFC 9110, 15.4.5: the headers that the full answer would have had and that caches need."""
    short = HttpResponseNotModified()
    for name in ("Cache-Control", "ETag", "Vary"):
        if full.has_header(name):
            short[name] = full[name]
    short.cookies = full.cookies
    return short
