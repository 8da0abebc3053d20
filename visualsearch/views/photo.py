"""The page that searches by photo."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from visualsearch.exceptions import FileTooLarge, ImageRefused, NoFeatureMap
from visualsearch.images import read_limited
from visualsearch.images.reading import Readable
from visualsearch.search import Results, search_by_image
from visualsearch.search.fields import declared_fields
from visualsearch.search.options import Wishes
from visualsearch.sources import Filters
from visualsearch.views import previews, rates
from visualsearch.views.pages import Answer, SourceView, refused, too_many
from visualsearch.views.panel import label_of
from visualsearch.views.uploads import InMemory, is_too_large

NO_FILE = "no_file"


class PhotoView(SourceView):
    """GET: a form for a photo. POST: what looks like it: multipart ``image``, or ``query``, the token of an answer.

    Beside it ``limit``, the source's filters, ``sort``, ``like``, ``unlike``, ``cursor``, and with a photo ``box`` and
    ``whole``, which says that the photo is not to be searched for what it is of. The photo is held in memory, compared
    and forgotten: the page carries a small copy of it. 400 where the request is wrong, 413 for a file that is too
    large, 429 where there were too many, 503 where photos cannot be searched now.

    ``as_view(things=False)`` looks for no subject and no things in a photo, which saves most of the time it takes.
    """

    kind = "photo"
    things = True
    template_name = "visualsearch/photo_page.html"
    parts: ClassVar = {
        "": "visualsearch/photo_search.html",
        "visualsearch-answer": "visualsearch/answer.html",
        "visualsearch-results-photo": "visualsearch/results.html",
        "visualsearch-more-photo": "visualsearch/more.html",
    }

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        """Exempt here, since the check reads the body, and protected as soon as it is known where the body goes."""
        view: Callable[..., HttpResponse] = csrf_exempt(super().as_view(**initkwargs))
        return view

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_too_large(request):
            answer = Answer(problem=FileTooLarge.code, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return self.page(answer, QueryDict(), asked=True)
        request.upload_handlers = [InMemory(request)]
        return self.protected(request, *args, **kwargs)

    @method_decorator(csrf_protect)
    def protected(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.page(Answer(), request.GET, asked=False)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        upload = request.FILES.get("image")
        token = request.POST.get("thing") or request.POST.get("query", "")
        if seconds := rates.wait(request, photo=upload is not None):
            response = self.page(too_many(seconds), request.POST, asked=True, query=token)
        elif upload is not None:
            response = self.by_photo(upload, request.POST)
        elif token:
            response = self.by_token(token, request.POST)
        else:
            answer = Answer(problem=NO_FILE, status=HTTPStatus.BAD_REQUEST)
            response = self.page(answer, request.POST, asked=True)
        add_never_cache_headers(response)
        return response

    def by_photo(self, upload: Readable, given: QueryDict) -> HttpResponse:
        """A new search. What an earlier photo was liked for does not count for this one."""
        source, given = self.source, given.copy()
        for name in ("like", "unlike", "cursor", "start"):
            given.pop(name, None)
        try:
            content = read_limited(upload)
            preview = previews.preview_of(content)
        except ImageRefused as refusal:
            return self.page(refused(refusal), given, asked=True)

        def search(limit: int, filters: Filters, wishes: Wishes) -> Results:
            return self.looked_at(content, limit, filters, wishes, given)

        answer = self.answer(given, search)
        if not answer.problem:
            preview = previews.with_things(preview, answer.shown.results, lambda guess: label_of(source, guess))
        return self.page(answer, given, asked=True, preview=preview)

    def looked_at(self, content: bytes, limit: int, filters: Filters, wishes: Wishes, given: QueryDict) -> Results:
        """The search by the photo, with what it is of and what is in it where the encoder can tell."""
        box = given.get("box") or None
        source = self.source.name
        if self.things and not given.get("whole"):
            named = list(declared_fields(self.source))[:1]
            parts: Wishes = {**wishes, "focus": "auto", "objects": True, "guess": named}
            with contextlib.suppress(NoFeatureMap):
                return search_by_image(content, limit, filters, source=source, box=box, **parts)
        return search_by_image(content, limit, filters, source=source, box=box, **wishes)

    def by_token(self, token: str, given: QueryDict) -> HttpResponse:
        """The search goes on: other filters, another order, a later page, products liked or not."""
        source = self.source

        def search(limit: int, filters: Filters, wishes: Wishes) -> Results:
            return search_by_image(None, limit, filters, source=source.name, query=token, **wishes)

        answer = self.answer(given, search)
        preview = previews.read(given.get("shown", ""))
        if preview and given.get("thing"):
            preview = preview.choosing(token)
        lost = answer.problem.startswith(("query_", "invalid_query"))
        return self.page(answer, given, asked=True, preview=preview, query="" if lost else token)
