"""Similar products, search by photo, and whether a product can be searched with.

Authentication, permissions, renderers, versioning and throttles are the project's own; to change them for this API
alone, subclass a view or give ``as_view()`` other classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, QueryDict
from rest_framework import exceptions
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle
from rest_framework.versioning import QueryParameterVersioning
from rest_framework.views import APIView

from visualsearch.api import caching
from visualsearch.api.errors import (
    NO_PRODUCT,
    ImageRequired,
    LengthRequired,
    OneImageOnly,
    exception_handler,
)
from visualsearch.api.serializers import StateSerializer, page
from visualsearch.api.throttles import PhotoThrottle, SimilarThrottle
from visualsearch.conf import conf
from visualsearch.exceptions import FileTooLarge
from visualsearch.images.reading import megabytes
from visualsearch.search import checked_limit, search_by_image, similar_to, state_of
from visualsearch.search.keys import product_key
from visualsearch.sources import Filters, ImageSource, get_source

FORM_OVERHEAD = 64 * 1024  # bytes of a request beside its image: boundaries, part headers, limit and filters
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

    def parameters(self, given: QueryDict) -> tuple[int, Filters]:
        """The limit, and the rest as the shop's filters. Raises InvalidLimit."""
        ignored = {"limit", "csrfmiddlewaretoken", api_settings.URL_FORMAT_OVERRIDE}
        if self.versioning_class and issubclass(self.versioning_class, QueryParameterVersioning):
            ignored.add(self.versioning_class.version_param)
        filters = given.copy()
        for name in ignored:
            filters.pop(name, None)
        return _limit(given), filters

    def context(self) -> Mapping[str, Any]:
        """What the shop's serializer is given."""
        return {"request": self.request, "view": self, "format": self.format_kwarg}


class SimilarView(VisualSearchView):
    """Products that look like this one.

    The product itself is not among them, and each product comes once, with the image nearest to the query. A product
    that is not indexed yet is no error: the results are empty and `state` says why.
    """

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        product = self.get_object()
        limit, filters = self.parameters(request.query_params)
        results = similar_to(product, limit, filters, source=self.source.name)
        return caching.revalidated(request, Response(page(self.source, results, self.context())))


class StateView(VisualSearchView):
    """Whether a product can be searched with, and why not."""

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        product = self.get_object()
        found = state_of(self.source, product.pk)
        return Response(StateSerializer(found).data)


class SearchView(VisualSearchView):
    """Products that look like the photo sent.

    The photo is read, encoded and forgotten. Limit and filters may stand in the address or in the form.
    """

    rate = PhotoThrottle
    parser_classes = [MultiPartParser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        _check_length(request)  # before anything reads the body: session authentication does, for its CSRF token
        super().initial(request, *args, **kwargs)

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.source
        image = _only_image(request)
        given = request.query_params.copy()
        given.update(request.POST)
        limit, filters = self.parameters(given)
        results = search_by_image(image, limit, filters, source=source.name)
        return Response(page(source, results, self.context()))


def _limit(given: QueryDict) -> int:
    if "limit" not in given:
        return checked_limit(None)
    text: Any = given["limit"]
    return checked_limit(int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text)


def _check_length(request: Request) -> None:
    """Refuses a body that cannot be a photo of allowed size by its header alone."""
    if request.META.get("CONTENT_LENGTH", "") == "" and "chunked" in request.headers.get("Transfer-Encoding", ""):
        raise LengthRequired
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return  # taken for 0 by all that read bodies
    if length > conf.MAX_BYTES + FORM_OVERHEAD:
        raise FileTooLarge(f"The request has {length} bytes; an image may have at most {megabytes(conf.MAX_BYTES)}.")


def _only_image(request: Request) -> Any:
    """The one uploaded file. Raises ImageRequired, OneImageOnly."""
    files = request.FILES
    if "image" not in files:
        raise ImageRequired
    if sum(len(parts) for _, parts in files.lists()) > 1:
        raise OneImageOnly
    return files["image"]
