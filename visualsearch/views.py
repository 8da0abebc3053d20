"""Two pages for customers: what looks like a product, and what looks like a photo. They work without scripts.

Their templates extend ``visualsearch/page.html``: a shop that overrides this one file has both in its own layout.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import Error, models
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.utils.cache import add_never_cache_headers
from django.views.generic import TemplateView

from visualsearch import presentation
from visualsearch.exceptions import (
    FileTooLarge,
    ImageRefused,
    InvalidFilter,
    InvalidLimit,
    SourceNotRegistered,
    VisualSearchError,
)
from visualsearch.images import open_image, read_limited
from visualsearch.presentation import Picture
from visualsearch.search import Results, search_by_image, similar_to
from visualsearch.sources import ImageSource, get_source

logger = logging.getLogger(__name__)

PREVIEW = 480  # pixels of the longer side of the copy of a photo that is shown beside its results
NO_FILE = "no_file"
UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Answer:
    """What a search came to. ``problem`` is the code of what the page has to say instead of results."""

    results: Results = field(default_factory=Results)
    problem: str = ""
    status: int = HTTPStatus.OK


class SourceView(TemplateView):
    """A page about one source, whose name is in the address."""

    @property
    def source(self) -> ImageSource:
        try:
            return get_source(self.kwargs["source"])
        except SourceNotRegistered as error:
            raise Http404(str(error)) from error

    def page(self, answer: Answer, query: QueryDict, **variables: Any) -> HttpResponse:
        """The page with this answer. ``filter`` is the shop's FilterSet over products, for its form."""
        variables |= {
            "source": self.source,
            "results": answer.results,
            "matches": presentation.cards(self.source, answer.results),
            "state": str(answer.results.state),
            "problem": answer.problem,
            "filter": _filterset(self.source, query),
            "filtered": bool(_filters(self.source, query)),
            "max_megabytes": presentation.max_megabytes(),
        }
        return self.render_to_response(self.get_context_data(**variables), status=answer.status)


class SimilarView(SourceView):
    """GET: a product, and what looks like it. Query: ``limit`` and the source's filters; other names are ignored.

    404 for a product that may not be shown.
    """

    template_name = "visualsearch/similar_page.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        source = self.source
        product = _product_or_404(source, kwargs["pk"])
        answer = _answered(
            lambda: similar_to(product, _limit(request.GET), _filters(source, request.GET), source=source.name)
        )
        images = source.with_file().filter(pk__in=source.images_of(product.pk).order_by().values("pk"))
        return self.page(
            answer,
            request.GET,
            product=product,
            url=presentation.product_url(product),
            pictures=[source.file_of(image) for image in images],
        )


class PhotoView(SourceView):
    """GET: a form for a photo. POST: what looks like it; multipart ``image``, ``limit`` and the source's filters.

    The photo is read, compared and forgotten: the page carries a small copy of it. 400 where the request is wrong,
    413 for a file that is too large, 503 where photos cannot be searched now.
    """

    template_name = "visualsearch/photo_page.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.page(Answer(), request.GET, preview=None, asked=False)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        source, upload = self.source, request.FILES.get("image")
        preview = None
        if not isinstance(upload, UploadedFile):
            answer = Answer(problem=NO_FILE, status=HTTPStatus.BAD_REQUEST)
        else:
            try:
                content = read_limited(upload)
                preview = _preview(content)
            except ImageRefused as refusal:
                answer = Answer(problem=refusal.code, status=_refusal_status(refusal))
            else:
                answer = _answered(
                    lambda: search_by_image(
                        content, _limit(request.POST), _filters(source, request.POST), source=source.name
                    )
                )
        response = self.page(answer, request.POST, preview=preview, asked=True)
        add_never_cache_headers(response)
        return response


def _answered(search: Callable[[], Results]) -> Answer:
    """The search's results, or what the page has to say: about the request, or that the search is out of order."""
    try:
        return Answer(presentation.guarded(search))
    except ImageRefused as refusal:
        return Answer(problem=refusal.code, status=_refusal_status(refusal))
    except (InvalidFilter, InvalidLimit) as mistake:
        return Answer(problem=mistake.code, status=HTTPStatus.BAD_REQUEST)
    except (VisualSearchError, Error) as fault:
        logger.error("A search page has no results to show: %s", fault)
        return Answer(problem=UNAVAILABLE, status=HTTPStatus.SERVICE_UNAVAILABLE)


def _refusal_status(refusal: ImageRefused) -> int:
    if isinstance(refusal, FileTooLarge):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return HTTPStatus.BAD_REQUEST


def _product_or_404(source: ImageSource, pk: str) -> models.Model:
    """A product that may be shown now, by the text of its primary key."""
    field = source.product_model._meta.pk
    try:
        value = field.to_python(pk)
    except ValidationError as error:
        raise Http404(f"{pk!r} is no key of a product.") from error
    if "\0" in pk:  # which PostgreSQL refuses to compare with
        raise Http404("A key holds no NUL.")
    product: models.Model = get_object_or_404(source.eligible_products(), pk=value)
    return product


def _limit(query: QueryDict) -> int | None:
    """Raises InvalidLimit for what is not a number; the search itself checks the range."""
    text = query.get("limit", "")
    try:
        return int(text) if text else None
    except ValueError as error:
        raise InvalidLimit("limit must be a whole number.") from error


def _filters(source: ImageSource, query: QueryDict) -> QueryDict:
    """The part of the query that the source's filters know, without what a form sends for fields left empty."""
    known = source.filterset_class.get_filters() if source.filterset else {}
    wanted = QueryDict(mutable=True)
    for name in known:
        if values := [value for value in query.getlist(name) if value]:
            wanted.setlist(name, values)
    return wanted


def _filterset(source: ImageSource, query: QueryDict) -> Any:
    if source.filterset is None:
        return None
    filters = _filters(source, query)
    return source.filterset_class(data=filters or None, queryset=source.product_model._default_manager.none())


def _preview(content: bytes) -> Picture:
    """A small copy of the photo as a data URL. Raises ImageRefused."""
    picture = open_image(content, side=PREVIEW)
    picture.thumbnail((PREVIEW, PREVIEW))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    width, height = picture.size
    return Picture(f"data:image/jpeg;base64,{encoded}", "", max(1, width // 2), max(1, height // 2))
