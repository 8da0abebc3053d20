"""Live, ready, and metrics. Nothing of customers in any of them."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from visualsearch.conf import conf
from visualsearch.health import findings


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """200 while this process answers at all; a process that does not is to be started anew."""
    return JsonResponse({"live": True})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """200 where this process can answer searches now, else 503; ``checks`` say what is wrong, by code."""
    found = findings()
    is_ready = all(finding.is_fine for finding in found)
    checks = [
        {"check": finding.check, "code": finding.code, **({"source": finding.source} if finding.source else {})}
        for finding in found
    ]
    return JsonResponse(
        {"ready": is_ready, "checks": checks}, status=HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    )


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus, with METRICS_TOKEN as its bearer token; 403 for everybody else, all while no token is set."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if not conf.METRICS_TOKEN or kind.lower() != "bearer" or not constant_time_compare(token, conf.METRICS_TOKEN):
        return HttpResponse("Not without the token.\n", status=HTTPStatus.FORBIDDEN, content_type="text/plain")
    from visualsearch.metrics import exposition

    text, content_type = exposition(request.headers.get("Accept", ""))
    return HttpResponse(text, content_type=content_type)
