"""Addresses of the demo shop."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.static import serve
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView


def icon(request: HttpRequest) -> HttpResponseRedirect:
    """Where browsers look for the icon of pages that name none: the admin's and the API's."""
    return HttpResponseRedirect(static("catalog/icon.svg"))


urlpatterns = [
    path("admin/", admin.site.urls),
    path("favicon.ico", icon),
    path("api/visualsearch/", include("visualsearch.api.urls")),
    path("health/", include("visualsearch.health.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    # One small machine serves its own pictures; behind a web server this line is never reached.
    re_path(r"^media/(?P<path>.+)$", serve, {"document_root": settings.MEDIA_ROOT}),
    path("", include("catalog.urls")),
]
