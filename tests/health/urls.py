"""The health views alone."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("health/", include("visualsearch.health.urls"))]
