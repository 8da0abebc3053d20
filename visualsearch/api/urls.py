"""Addresses of the API, to be included where the shop wants them: ``include("visualsearch.api.urls")``."""

from __future__ import annotations

from django.apps import apps
from django.urls import path

from visualsearch.api.views import SearchView, SimilarView, StateView

if apps.is_installed("drf_spectacular"):
    from visualsearch.api import schema  # noqa: F401 - describes the views to it

app_name = "visualsearch_api"

# A product's key is a path, since a text key may contain a slash.
urlpatterns = [
    path("<str:source>/search/", SearchView.as_view(), name="search"),
    path("<str:source>/<path:product>/similar/", SimilarView.as_view(), name="similar"),
    path("<str:source>/<path:product>/state/", StateView.as_view(), name="state"),
]
