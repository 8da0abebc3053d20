"""Pages for customers: ``path("visual-search/", include("visualsearch.urls"))``.

Without them the tags show no links and no form.
"""

from __future__ import annotations

from django.urls import path

from visualsearch import views

app_name = "visualsearch"

urlpatterns = [
    path("<str:source>/photo/", views.PhotoView.as_view(), name="photo"),
    path("<str:source>/why/", views.WhyView.as_view(), name="why"),
    path("<str:source>/<path:pk>/why/", views.WhyView.as_view(), name="why"),
    path("<str:source>/<path:pk>/similar/", views.SimilarView.as_view(), name="similar"),
]
