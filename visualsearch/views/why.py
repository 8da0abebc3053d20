"""Why a result matched: its picture, and over it a map of the places that made it match."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils.cache import add_never_cache_headers

from visualsearch import presentation
from visualsearch.exceptions import NoFeatureMap, VisualSearchError
from visualsearch.models import active_index
from visualsearch.regions.explain import Explanation
from visualsearch.search import Match, queries
from visualsearch.search.options import checked
from visualsearch.search.queries import Query
from visualsearch.search.reasons import explained
from visualsearch.views import rates
from visualsearch.views.asking import feedback
from visualsearch.views.pages import MISTAKES, UNAVAILABLE, Answer, SourceView, logger, too_many
from visualsearch.views.similar import product_or_404

SIDE = 480  # pixels that the picture is shown with
STRONGEST = 0.25  # of the places, whose part of the likeness is told


class WhyView(SourceView):
    """GET or POST: ``image``, the key of a result's image, and what was searched with: a product in the address, or
    ``query``, a token.

    ``like`` and ``unlike`` as in that search. 404 for what may not be shown.
    """

    kind = "why"
    template_name = "visualsearch/why_page.html"
    parts: ClassVar = {
        "visualsearch-why-photo": "visualsearch/why.html",
        "visualsearch-why-similar": "visualsearch/why.html",
    }

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.told(request.GET)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.told(request.POST)

    def told(self, given: QueryDict) -> HttpResponse:
        match = self.match(given.get("image", ""))
        answer, explanation = Answer(), None
        if seconds := rates.wait(self.request, photo=False):
            answer = too_many(seconds)
        else:
            answer, explanation = self.explained(match, given)
        response = self.page(
            answer,
            QueryDict(),
            match=match,
            url=presentation.product_url(match.product),
            picture=presentation.picture_or_none(self.source.file_of(match.image), SIDE),
            heat_map=explanation.data_uri() if explanation else "",
            percent=round(100 * explanation.carried(STRONGEST)) if explanation else None,
        )
        add_never_cache_headers(response)
        return response

    def match(self, key: str) -> Match:
        """The result with this image, if it may be shown."""
        source = self.source
        try:
            value = source.model._meta.pk.to_python(key)
        except ValidationError as error:
            raise Http404(f"{key!r} is no key of an image.") from error
        found = None if "\0" in key or not key else source.eligible_images().filter(pk=value).first()
        if found is None:
            raise Http404("No such image may be shown.")
        return Match(source.product_of(found), found, None, 0.0, 1)

    def explained(self, match: Match, given: QueryDict) -> tuple[Answer, Explanation | None]:
        source = self.source
        try:
            like, unlike = feedback(given)
            options = checked(source, None, {"like": like, "unlike": unlike})
            query = queries.with_feedback(self.query(given), source, options)
            return Answer(), explained(source, query, [match])[0].explanation
        except NoFeatureMap as fault:
            return Answer(problem=fault.code, status=HTTPStatus.UNPROCESSABLE_ENTITY), None
        except (VisualSearchError, Error) as fault:
            if (code := getattr(fault, "code", "")) in MISTAKES:
                return Answer(problem=code, status=HTTPStatus.BAD_REQUEST), None
            logger.error("A match cannot be explained: %s", fault)
            return Answer(problem=UNAVAILABLE, status=HTTPStatus.SERVICE_UNAVAILABLE), None

    def query(self, given: QueryDict) -> Query:
        """What was searched with. Raises QueryRefused; 404 where there is no such thing."""
        source = self.source
        if "pk" not in self.kwargs:
            index = active_index(source)
            if index is None:
                raise Http404("Nothing is indexed.")
            return queries.of_token(index, given.get("query", ""))
        product = product_or_404(source, self.kwargs.get("pk", ""))
        query = queries.of_product(source, product.pk, checked(source, None, {}))
        if query is None:
            raise Http404("The product is not indexed.")
        return query
