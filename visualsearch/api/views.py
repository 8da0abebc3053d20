"""Similar products, search by photo, and whether a product can be searched with.

Authentication, permissions, renderers, versioning and throttles are the project's own; to change them for this API
alone, subclass a view or give ``as_view()`` other classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, QueryDict
from rest_framework import exceptions
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle
from rest_framework.versioning import QueryParameterVersioning
from rest_framework.views import APIView

from visualsearch.api import caching
from visualsearch.api.answers import page
from visualsearch.api.bodies import (
    FORM_OVERHEAD,
    ImageParser,
    PhotoJSONParser,
    body_length,
    check_body,
    fields_of,
    photo_of,
)
from visualsearch.api.errors import NO_PRODUCT, exception_handler
from visualsearch.api.parameters import Asked, asked, explains
from visualsearch.api.serializers import StateSerializer
from visualsearch.api.throttles import PhotoThrottle, SimilarThrottle
from visualsearch.search import search_by_image, similar_to, state_of
from visualsearch.search.keys import product_key
from visualsearch.sources import ImageSource, get_source

UNREADABLE = "The product's image file could not be read."


class VisualSearchView(APIView):
    """What the views have in common: the source, its products, the error shape and the rate."""

    rate: ClassVar[type[BaseThrottle]] = SimilarThrottle

    @property
    def source(self) -> ImageSource:
        """The source named in the address. Raises SourceNotRegistered."""
        return get_source(self.kwargs["source"])

    def get_queryset(self) -> models.QuerySet[Any]:
        """Products that may be shown now. Permission classes bound to a model look for it here."""
        return self.source.eligible_products()

    def get_object(self) -> models.Model:
        """The product named in the address. One that is not there and one that may not be shown are the same 404."""
        key = product_key(self.source, self.kwargs["product"])
        # Cleared of ordering and relations, which a single row does not need.
        candidates = self.get_queryset().order_by().select_related(None).prefetch_related(None)
        product = next(iter(candidates.filter(pk=key)[:1]), None)
        if product is None:
            raise exceptions.NotFound(NO_PRODUCT)
        try:
            self.check_object_permissions(self.request, product)
        except (exceptions.NotAuthenticated, exceptions.PermissionDenied, PermissionDenied, Http404):
            raise exceptions.NotFound(NO_PRODUCT) from None
        return product  # type: ignore[no-any-return]

    def get_throttles(self) -> list[BaseThrottle]:
        """The project's throttles and this API's own."""
        return [*super().get_throttles(), self.rate()]

    def get_exception_handler(self) -> Any:
        return exception_handler

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if "Cache-Control" not in response:
            response["Cache-Control"] = caching.NEVER_STORED
        return response

    def asked(self, given: QueryDict, *, photo: bool = False) -> Asked:
        """Limit and options, and the rest as the shop's filters. Raises InvalidLimit, InvalidOption."""
        ignored = {"csrfmiddlewaretoken", api_settings.URL_FORMAT_OVERRIDE}
        if self.versioning_class and issubclass(self.versioning_class, QueryParameterVersioning):
            ignored.add(self.versioning_class.version_param)
        return asked(given, ignored, photo=photo)

    def context(self) -> Mapping[str, Any]:
        """What the shop's serializer is given."""
        return {"request": self.request, "view": self, "format": self.format_kwarg}


class SimilarView(VisualSearchView):
    """Products that look like this one.

    The product itself is not among them, and each product comes once, with the image nearest to the query. A product
    that is not indexed yet is no error: the results are empty and `state` says why.
    """

    def get_throttles(self) -> list[BaseThrottle]:
        """To explain is to look at pictures: it counts as a search by photo."""
        if explains(self.request.query_params):
            return [*APIView.get_throttles(self), PhotoThrottle()]
        return super().get_throttles()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        product = self.get_object()
        wanted = self.asked(request.query_params)
        results = similar_to(product, wanted.limit, wanted.filters, source=self.source.name, **wanted.options)
        answer = page(self.source, results, self.context(), wanted.options)
        return caching.revalidated(request, Response(answer))


class StateView(VisualSearchView):
    """Whether a product can be searched with, and why not."""

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        product = self.get_object()
        found = state_of(self.source, product.pk)
        return Response(StateSerializer(found).data)


class SearchView(VisualSearchView):
    """Products that look like the photo sent, or like that of an earlier answer's `query` token.

    The photo is a form's file `image`, the whole body under an image's content type, or base64 in JSON. It is read,
    encoded and forgotten. Limit, options and filters may stand in the address, in the form or in the JSON.
    """

    rate = PhotoThrottle
    parser_classes = [MultiPartParser, FormParser, PhotoJSONParser, ImageParser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        check_body(request)  # before anything reads the body: session authentication does, for its CSRF token
        super().initial(request, *args, **kwargs)

    def get_throttles(self) -> list[BaseThrottle]:
        """A search by token, which decodes and encodes nothing unless it is to explain, counts as one by product.

        Only a small body is read to find out: a photo over its rate is refused before it is read.
        """
        request: Request = self.request
        small = body_length(request) <= FORM_OVERHEAD and not (request.content_type or "").startswith("image/")
        by_token = small and request.method == "POST" and "query" in request.data and "image" not in request.FILES
        if by_token and not explains(fields_of(request)):
            return [*APIView.get_throttles(self), SimilarThrottle()]
        return super().get_throttles()

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.source
        image = photo_of(request)
        wanted = self.asked(fields_of(request), photo=True)
        results = search_by_image(
            image,
            wanted.limit,
            wanted.filters,
            source=source.name,
            box=wanted.box,
            query=wanted.query,
            **wanted.options,
        )
        return Response(page(source, results, self.context(), wanted.options))
