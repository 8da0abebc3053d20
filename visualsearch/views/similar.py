"""The page of products that look like one of the shop's."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from visualsearch import presentation
from visualsearch.search import Results, similar_to
from visualsearch.search.options import Wishes
from visualsearch.sources import Filters, ImageSource
from visualsearch.views.pages import SourceView


class SimilarView(SourceView):
    """GET: a product, and what looks like it.

    Query: ``limit``, the source's filters, ``sort``, ``like``, ``unlike``, ``cursor``; other names are ignored. 404 for
    a product that may not be shown.
    """

    kind = "similar"
    template_name = "visualsearch/similar_page.html"
    parts: ClassVar = {
        "visualsearch-results-similar": "visualsearch/results.html",
        "visualsearch-more-similar": "visualsearch/more.html",
    }

    def why_url(self) -> str:
        return presentation.why_url(self.source, self.kwargs["pk"])

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        source = self.source
        product = product_or_404(source, kwargs["pk"])

        def search(limit: int, filters: Filters, wishes: Wishes) -> Results:
            return similar_to(product, limit, filters, source=source.name, **wishes)

        images = source.with_file().filter(pk__in=source.images_of(product.pk).order_by().values("pk"))
        return self.page(
            self.answer(request.GET, search),
            request.GET,
            product=product,
            url=presentation.product_url(product),
            pictures=[source.file_of(image) for image in images],
        )


def product_or_404(source: ImageSource, pk: str) -> models.Model:
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
