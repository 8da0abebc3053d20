"""Django's admin for visual search: ``ReindexMixin`` for the shop's own admins, pages of rows and versions."""

from __future__ import annotations

from django.contrib import admin

from visualsearch.admin.embeddings import ImageEmbeddingAdmin
from visualsearch.admin.pictures import picture
from visualsearch.admin.reindexing import ReindexMixin
from visualsearch.admin.versions import VisualIndexAdmin
from visualsearch.models import ImageEmbedding, VisualIndex

__all__ = ["ImageEmbeddingAdmin", "ReindexMixin", "VisualIndexAdmin", "picture"]

admin.site.register(ImageEmbedding, ImageEmbeddingAdmin)
admin.site.register(VisualIndex, VisualIndexAdmin)
