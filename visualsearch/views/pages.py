"""What the pages have in common: the source in the address, an answer, and which part of the page is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar

from django.db import Error
from django.http import Http404, HttpResponse, QueryDict
from django.utils.cache import patch_vary_headers
from django.views.generic import TemplateView

from visualsearch import presentation
from visualsearch.exceptions import (
    FileTooLarge,
    ImageRefused,
    InvalidFilter,
    InvalidLimit,
    InvalidOption,
    SourceNotRegistered,
    VisualSearchError,
)
from visualsearch.search import Results
from visualsearch.search.keys import product_key
from visualsearch.sources import ImageSource, get_source
from visualsearch.views.asking import asked, feedback, filters_of, orders_of
from visualsearch.views.lists import Search, Shown, shown
from visualsearch.views.panel import panel

logger = logging.getLogger(__name__)

UNAVAILABLE = "unavailable"
TOO_MANY = "too_many_requests"
# What a customer, or an address that was written by hand, can get wrong beside the picture; each has its sentence in
# problem.html. Anything else is a fault of the shop's.
MISTAKES = (
    "invalid_box",
    "unknown_product",
    "invalid_query",
    "query_expired",
    "query_outdated",
    "query_of_another_source",
    "query_of_another_shop",
    "invalid_cursor",
    "cursor_of_another_query",
)


@dataclass(frozen=True)
class Answer:
    """What a search came to. ``problem`` is the code of what the page has to say instead of results, ``wait`` the
    seconds until the next search where there were too many."""

    shown: Shown = field(default_factory=lambda: Shown(Results(), []))
    problem: str = ""
    status: int = HTTPStatus.OK
    wait: int = 0


class SourceView(TemplateView):
    """A page about one source, whose name is in the address.

    ``kind`` tells the ids of this page's elements from those of another that may lie open in a dialog above it.
    """

    kind: ClassVar[str]
    parts: ClassVar[Mapping[str, str]] = {}  # templates of what htmx asks for, by the id of the element to be replaced

    @property
    def source(self) -> ImageSource:
        try:
            return get_source(self.kwargs["source"])
        except SourceNotRegistered as error:
            raise Http404(str(error)) from error

    def get_template_names(self) -> list[str]:
        """The page, or the part of it that htmx replaces."""
        headers = self.request.headers
        if "HX-Request" not in headers or "HX-History-Restore-Request" in headers:
            return super().get_template_names()
        part = self.parts.get(headers.get("HX-Target", ""))
        return [part] if part else super().get_template_names()

    def why_url(self) -> str:
        """The address that tells why a result is among these, or an empty string."""
        return presentation.why_url(self.source)

    def answer(self, given: QueryDict, search: Search) -> Answer:
        """What is asked for in ``given``, found by ``search(limit, filters, wishes)``."""

        def found() -> Shown:
            return shown(self.source, asked(self.source, given), search)

        return answered(found)

    def page(self, answer: Answer, given: QueryDict, **variables: Any) -> HttpResponse:
        """The page, or the part that is asked for, with this answer."""
        results, source = answer.shown.results, self.source
        variables = {
            "kind": self.kind,
            "source": source,
            "results": results,
            "matches": presentation.cards(source, answer.shown.matches),
            "state": str(results.state),
            "shown": answer.shown,
            "problem": answer.problem,
            "wait": answer.wait,
            "query": results.query or "",
            "filters": panel(source, given, results.facets),
            "filtered": bool(filters_of(source, given)),
            "orders": [(name, label, name == given.get("sort", "")) for name, label in orders_of(source).items()],
            "marked": _marked(source, given),
            "limit": given.get("limit", ""),
            "max_megabytes": presentation.max_megabytes(),
            "why_url": self.why_url(),
            "later": given.get("cursor", "") != "" or given.get("start", "") != "",
            "level": 2 if "HX-Request" in self.request.headers else 1,  # a dialog has the page's own heading above it
            **variables,
        }
        response = self.render_to_response(self.get_context_data(**variables), status=answer.status)
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        if answer.wait:
            response["Retry-After"] = str(answer.wait)
        return response


def answered(search: Callable[[], Shown]) -> Answer:
    """What a search shows, or what the page has to say: about the request, or that the search is out of order."""
    try:
        return Answer(presentation.guarded(search))
    except ImageRefused as refusal:
        return refused(refusal)
    except (InvalidFilter, InvalidLimit, InvalidOption) as mistake:
        return Answer(problem=mistake.code, status=HTTPStatus.BAD_REQUEST)
    except (VisualSearchError, Error) as fault:
        if (code := getattr(fault, "code", "")) in MISTAKES:
            return Answer(problem=code, status=HTTPStatus.BAD_REQUEST)
        logger.error("A search page has no results to show: %s", fault)
        return Answer(problem=UNAVAILABLE, status=HTTPStatus.SERVICE_UNAVAILABLE)


def refused(refusal: ImageRefused) -> Answer:
    large = isinstance(refusal, FileTooLarge)
    return Answer(problem=refusal.code, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE if large else HTTPStatus.BAD_REQUEST)


def too_many(seconds: int) -> Answer:
    return Answer(problem=TOO_MANY, status=HTTPStatus.TOO_MANY_REQUESTS, wait=seconds)


def _marked(source: ImageSource, given: QueryDict) -> Sequence[dict[str, Any]]:
    """Products that the customer wants more or less of, those that may be shown. One query where there are any."""
    like, unlike = feedback(given)
    keys = {text: product_key(source, text) for text in (*like, *unlike)}
    if not keys:
        return []
    wanted = source.eligible_products().filter(pk__in=[key for key in keys.values() if key is not None])
    products = {product.pk: product for product in wanted.order_by()}
    return [
        {"key": text, "product": products[keys[text]], "more": text in like}
        for text in (*like, *unlike)
        if keys[text] in products
    ]
