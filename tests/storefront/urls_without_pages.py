"""A shop that has not included visualsearch.urls."""

from __future__ import annotations

from django.urls import include, path

from catalog.urls import pages

urlpatterns = [path("", include((pages, "catalog")))]
