"""Django's admin for visual search: ``ReindexMixin`` for the shop's own admins, a dashboard, rows and versions."""

from __future__ import annotations

from django.contrib import admin

from visualsearch.admin.dashboard import IndexedSourceAdmin
from visualsearch.admin.duplicates import DismissedPairAdmin, DuplicatePairAdmin
from visualsearch.admin.embeddings import ImageEmbeddingAdmin
from visualsearch.admin.pictures import picture
from visualsearch.admin.reindexing import ReindexMixin
from visualsearch.admin.versions import VisualIndexAdmin
from visualsearch.models import DismissedPair, DuplicatePair, ImageEmbedding, IndexedSource, VisualIndex

__all__ = ["ImageEmbeddingAdmin", "IndexedSourceAdmin", "ReindexMixin", "VisualIndexAdmin", "picture"]

admin.site.register(IndexedSource, IndexedSourceAdmin)
admin.site.register(ImageEmbedding, ImageEmbeddingAdmin)
admin.site.register(VisualIndex, VisualIndexAdmin)
admin.site.register(DuplicatePair, DuplicatePairAdmin)
admin.site.register(DismissedPair, DismissedPairAdmin)
