"""``path("health/", include("visualsearch.health.urls"))``: live/, ready/ and metrics/."""

from __future__ import annotations

from django.urls import path

from visualsearch.health import views

app_name = "visualsearch_health"

urlpatterns = [
    path("live/", views.live, name="live"),
    path("ready/", views.ready, name="ready"),
    path("metrics/", views.metrics, name="metrics"),
]
