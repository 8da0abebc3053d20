"""Live versions follow the shop's images: what saves, deletes and reindexing do to all of them."""

from __future__ import annotations

from typing import Any, Literal

from django.db import models

from visualsearch import indexing
from visualsearch.exceptions import EncoderError
from visualsearch.indexing import Outcome
from visualsearch.lifecycle.versions import ensure_active
from visualsearch.models import VisualIndex
from visualsearch.search import sameness
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

Scope = Literal["missing", "failed", "all"]


def index_images(source: ImageSource, pks: list[Any], *, force: bool = False) -> Outcome:
    """Brings images up to date in every live version of their source, each with the encoder that made it.

    Raises EncoderError, after the others are done, if this process has not the encoder of one of them.
    """
    ensure_active(source)
    outcome, refused = Outcome(), None
    for index in VisualIndex.objects.of(source).live().order_by("state", "pk"):  # the active one first
        try:
            outcome += indexing.index_images(index, source, pks, force=force)
        except EncoderError as error:
            refused = error
    if refused:
        raise refused
    return outcome


def to_index(source: ImageSource, scope: Scope) -> models.QuerySet[Any]:
    """The images that a run of this scope takes up."""
    if scope == "all":
        return source.images()
    index = ensure_active(source)
    return indexing.failed(index, source) if scope == "failed" else indexing.out_of_date(index, source)


def prepare(source: ImageSource) -> None:
    """Makes the active version quick to search. Cheapest after the rows are in."""
    index = ensure_active(source)
    get_store().prepare(index)
    sameness.follow(index)
