"""Addresses of the API, to be included where the shop wants them: ``include("visualsearch.api.urls")``."""

from __future__ import annotations

from django.apps import apps
from django.urls import path, register_converter
from django.urls.converters import PathConverter

from visualsearch.api.views import SearchView, SimilarView, StateView

if apps.is_installed("drf_spectacular"):
    from visualsearch.api import schema  # noqa: F401 - describes the views to it

app_name = "visualsearch_api"


class KeyConverter(PathConverter):
    """A product's key: a path, since a text key may contain a slash, and line breaks, which ``path`` knows not."""

    regex = "(?s:.+)"


register_converter(KeyConverter, "visualsearch_key")

urlpatterns = [
    path("<str:source>/search/", SearchView.as_view(), name="search"),
    path("<str:source>/<visualsearch_key:product>/similar/", SimilarView.as_view(), name="similar"),
    path("<str:source>/<visualsearch_key:product>/state/", StateView.as_view(), name="state"),
]
