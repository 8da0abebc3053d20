"""The API in OpenAPI, for drf-spectacular. Made anew for each schema, from the sources registered by then."""
# mypy: allow-untyped-calls
# (drf-spectacular's extensions register their subclasses in a function without types.)

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import Any

from django.db import models
from django_filters import FilterSet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.extensions import (
    OpenApiFilterExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from visualsearch.api.examples import FOUND, PHOTO, PRODUCT, RESULTS, SEARCH, STATE, WAITING, error_responses
from visualsearch.api.option_schema import bodies, option_parameters, photo_parameters
from visualsearch.api.serializers import ResultsSerializer, StateSerializer, product_serializer
from visualsearch.conf import conf
from visualsearch.keys import key_field
from visualsearch.sources import ImageSource, all_sources

TAGS = ["visual search"]
Schema = dict[str, Any]


class SourceFilters:
    """Stands in the documented views for the filters of every source."""


class SourceFiltersExtension(OpenApiFilterExtension):
    target_class = SourceFilters

    def get_schema_operation_parameters(self, auto_schema: AutoSchema, *args: Any, **kwargs: Any) -> list[Schema]:
        found: dict[str, Schema] = {}
        sources: dict[str, list[str]] = {}
        for source in all_sources():
            for parameter in _filters(source, auto_schema):
                found.setdefault(parameter["name"], parameter)
                sources.setdefault(parameter["name"], []).append(source.name)
        return [_of_sources(parameter, sources[name]) for name, parameter in found.items()]


def _filters(source: ImageSource, auto_schema: AutoSchema) -> list[Schema]:
    """One source's filters, as drf-spectacular describes those of any list. None for what is not a FilterSet."""
    filterset: Any = source.filterset_class
    if not (isinstance(filterset, type) and issubclass(filterset, FilterSet)):
        return []
    describe = DjangoFilterExtension(DjangoFilterBackend).resolve_filter_field
    base_filters: dict[str, Any] = filterset.base_filters  # type: ignore[attr-defined]
    return [
        parameter
        for name, field in base_filters.items()
        for parameter in describe(auto_schema, source.product_model, filterset, name, _traceable(field))
    ]


def _traceable(field: Any) -> Any:
    """The filter with a field name whose type drf-spectacular finds.

    A choice of several related rows by a field of theirs must name that field twice (``category__slug`` and
    ``to_field_name="slug"``: django-filter compares the one with the other), and drf-spectacular joins the two.
    """
    key = field.extra.get("to_field_name")
    if not (key and (field.field_name or "").endswith(f"__{key}")):
        return field
    field = copy(field)
    field.field_name = field.field_name.removesuffix(f"__{key}")
    return field


def _of_sources(parameter: Schema, names: list[str]) -> Schema:
    if len(all_sources()) == 1:
        return parameter
    described = f"{parameter.get('description') or ''} Only for: {', '.join(sorted(names))}.".lstrip()
    return {**parameter, "description": described, "required": False}


class ProductFieldExtension(OpenApiSerializerFieldExtension):
    """A product has the form of its source's serializer."""

    target_class = "visualsearch.api.serializers.ProductField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> Schema:
        kinds: dict[Any, None] = dict.fromkeys(product_serializer(source) for source in all_sources())
        references = [auto_schema.resolve_serializer(kind, direction).ref for kind in kinds]
        if not references:
            return {"type": "object", "additionalProperties": {}}
        return references[0] if len(references) == 1 else {"oneOf": references}


class KeyFieldExtension(OpenApiSerializerFieldExtension):
    """Keys are numbers or, like UUIDs, strings."""

    target_class = "visualsearch.api.serializers.KeyField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> Schema:
        fields = [source.pk_field for source in all_sources()]
        fields += [key_field(source.product_model) for source in all_sources()]
        types = sorted({"integer" if isinstance(field, models.IntegerField) else "string" for field in fields})
        return {"type": types[0]} if len(types) == 1 else {"oneOf": [{"type": name} for name in types]}


class ValueFieldExtension(OpenApiSerializerFieldExtension):
    """Values of the shop's fields may be of any simple type."""

    target_class = "visualsearch.api.serializers.ValueField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> Schema:
        return {"oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}


def _source_parameter() -> OpenApiParameter:
    return OpenApiParameter(
        "source",
        OpenApiTypes.STR,
        OpenApiParameter.PATH,
        description="Name of the registered image source.",
        enum=sorted(source.name for source in all_sources()) or None,
    )


def _product_parameter() -> OpenApiParameter:
    return OpenApiParameter(
        "product", OpenApiTypes.STR, OpenApiParameter.PATH, description="Primary key of the product."
    )


def _limit_schema() -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": conf.MAX_LIMIT, "default": conf.DEFAULT_LIMIT}


def _limit_parameter() -> OpenApiParameter:
    return OpenApiParameter("limit", _limit_schema(), description="How many products at most.")


def _header(name: str, description: str, *statuses: int) -> OpenApiParameter:
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=description, response=list(statuses)
    )


_RETRY_AFTER = _header("Retry-After", "Seconds until the next request is allowed.", 429)


class _DocumentedView(OpenApiViewExtension):
    """Puts descriptions on a view, and on a shop's subclass of it."""

    match_subclasses = True
    method = "get"
    filtered = True

    @abstractmethod
    def description(self) -> Any:
        """The extend_schema() of the view's method."""

    def view_replacement(self) -> Any:
        attributes = {"filter_backends": [SourceFilters] if self.filtered else [], "queryset": _no_products()}
        documented = type(self.target.__name__, (self.target,), {**attributes, "__doc__": self.target.__doc__})
        return extend_schema_view(**{self.method: self.description()})(documented)


def _no_products() -> models.QuerySet[Any] | None:
    """Which model the views are about, where there is one: for descriptions of types alone."""
    return next((source.product_model._default_manager.none() for source in all_sources()), None)


class SimilarViewExtension(_DocumentedView):
    target_class = "visualsearch.api.views.SimilarView"

    def description(self) -> Any:
        return extend_schema(
            operation_id="visualsearch_similar",
            tags=TAGS,
            summary="Similar products",
            filters=True,
            parameters=[
                _source_parameter(),
                _product_parameter(),
                _limit_parameter(),
                *option_parameters(),
                OpenApiParameter(
                    "If-None-Match",
                    OpenApiTypes.STR,
                    OpenApiParameter.HEADER,
                    description="The ETag of the answer that you hold.",
                ),
                _header("ETag", "Names this very answer; send it back in If-None-Match.", 200, 304),
                _RETRY_AFTER,
            ],
            responses={
                200: OpenApiResponse(ResultsSerializer, "A page of products.", [RESULTS, WAITING]),
                304: OpenApiResponse(description="The answer that you hold is still right."),
                **error_responses(PRODUCT, SEARCH),
            },
        )


class StateViewExtension(_DocumentedView):
    target_class = "visualsearch.api.views.StateView"
    filtered = False

    def description(self) -> Any:
        return extend_schema(
            operation_id="visualsearch_state",
            tags=TAGS,
            summary="State of a product",
            parameters=[_source_parameter(), _product_parameter(), _RETRY_AFTER],
            responses={
                200: OpenApiResponse(StateSerializer, "How the product stands.", [STATE]),
                **error_responses(PRODUCT),
            },
        )


class SearchViewExtension(_DocumentedView):
    target_class = "visualsearch.api.views.SearchView"
    method = "post"

    def description(self) -> Any:
        return extend_schema(
            operation_id="visualsearch_search",
            tags=TAGS,
            summary="Search by photo",
            filters=True,
            parameters=[
                _source_parameter(),
                _limit_parameter(),
                *option_parameters(),
                *photo_parameters(),
                _RETRY_AFTER,
            ],
            request=bodies(_limit_schema()),
            responses={
                200: OpenApiResponse(ResultsSerializer, "A page of products.", [FOUND]),
                **error_responses(SEARCH, PHOTO),
            },
        )
