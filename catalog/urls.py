"""Addresses of the shop's pages. Those of the products are named ``catalog:...``."""

from __future__ import annotations

from django.urls import include, path

from catalog import views

pages = [
    path("", views.product_list, name="products"),
    path("product/<int:pk>/", views.product_page, name="product"),
]

urlpatterns = [
    path("", include((pages, "catalog"))),
    path("visual-search/", include("visualsearch.urls")),
]
