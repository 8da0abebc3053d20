"""Whether a product can be searched with, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models

from visualsearch.exceptions import ImageRefused
from visualsearch.models import ImageEmbedding, active_index, rows
from visualsearch.search.results import ProductState, State
from visualsearch.sources import ImageSource, source_of_product


def product_state(product: models.Model, *, source: str | None = None) -> ProductState:
    """Whether this product can be searched with: ready, pending, failed (with the reason) or no image."""
    return state_of(source_of_product(product, source), product.pk)


def state_of(source: ImageSource, product_pk: Any) -> ProductState:
    """The same for a product's primary key."""
    keys = source.images_of(product_pk).filter(pk__in=source.with_file().order_by().values("pk"))
    pks = [str(pk) for pk in keys.values_list("pk", flat=True)]
    index = active_index(source)
    if not pks:
        return ProductState(State.NO_IMAGE, "The product has no image.")
    known = rows(index, object_id__in=pks).defer("vector") if index else ImageEmbedding.objects.none()
    found = list(known.annotate(searchable=models.Q(vector__isnull=False)))
    searchable = sum(row.searchable for row in found)
    if searchable:
        return ProductState(State.READY, images=len(pks), indexed=searchable)
    failures = [row for row in found if row.state == ImageEmbedding.State.FAILED]
    if len(failures) == len(pks):
        return ProductState(State.FAILED, _public_reason(failures), images=len(pks))
    return ProductState(State.PENDING, "The product's images wait to be indexed.", images=len(pks))


def _public_reason(failures: Sequence[ImageEmbedding]) -> str:
    """What is wrong with the first refused picture. What a storage said (paths, buckets, hosts) is for staff alone."""
    refusals = {refusal.code for refusal in ImageRefused.__subclasses__()}
    said = [row.reason for row in sorted(failures, key=lambda row: row.object_id) if row.code in refusals]
    return said[0] if said else "The product's image file could not be read."
