"""A shop with this API and the addresses that its product serializer needs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView


def product(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(f"product {pk}")


urlpatterns = [
    path("api/visualsearch/", include("visualsearch.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("products/", include(([path("<int:pk>/", product, name="product")], "catalog"))),
]
