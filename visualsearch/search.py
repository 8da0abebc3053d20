"""The read path: a product, a photo or a vector -> ranked products.

``eligible`` and the filters are part of the one statement that finds the neighbours, so they are as fresh as the
database and a page is full while enough products pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO

import numpy as np
from django.db import DataError, models
from django.db.models.functions import Cast

from visualsearch.calibration import DIGITS, calibration_of
from visualsearch.conf import conf
from visualsearch.exceptions import ImageRefused, InvalidFilter, InvalidLimit
from visualsearch.images import open_image
from visualsearch.indexing import encoder_of
from visualsearch.models import ImageEmbedding, VisualIndex, active_index, rows
from visualsearch.sources import Filters, ImageSource, only_source, source_of_product
from visualsearch.stores import get_store


class State(StrEnum):
    """Whether a product can be searched with."""

    READY = "ready"
    PENDING = "pending"  # its images wait for the worker
    FAILED = "failed"  # none of its images could be read; the reason says why
    NO_IMAGE = "no_image"


@dataclass(frozen=True)
class Match:
    """One product found.

    ``image`` is its image nearest to the query, ``distance`` the cosine distance of the two (0 to 2), ``rank`` counts
    from 1. ``score`` is the probability, in percent, that a person would call it a match of the same kind, by the index
    version's calibration; None where the version has none (docs/calibration.md). It never rises from one rank to the
    next.
    """

    product: Any
    image: Any
    score: float | None
    distance: float
    rank: int


class Results(list[Match]):
    """A page of matches, best first. ``state`` and ``reason`` say why it is empty where the query has no vector."""

    def __init__(self, matches: Sequence[Match] = (), state: State = State.READY, reason: str = "") -> None:
        super().__init__(matches)
        self.state = state
        self.reason = reason


@dataclass(frozen=True)
class ProductState:
    """Whether a product can be searched with, and why not."""

    state: State
    reason: str = ""
    images: int = 0
    indexed: int = 0


def similar_to(
    product: models.Model,
    limit: int | None = None,
    filters: Filters | None = None,
    *,
    source: str | None = None,
) -> Results:
    """Products that look like this one, never itself. All its indexed images make up the query.

    Two queries. Raises InvalidLimit, InvalidFilter, SourceNotRegistered; a product without vectors gives an empty page
    whose ``state`` says why.
    """
    origin = source_of_product(product, source)
    wanted = checked_limit(limit)
    eligible = origin.eligible_images(filters).exclude(**{origin.product_field or "pk": product.pk})
    own = _own_vectors(origin, product.pk)
    if not own:
        found = state_of(origin, product.pk)
        return Results(state=found.state, reason=found.reason)
    query = np.mean([row.vector for row in own], axis=0)
    with _named_values(filters):
        return Results(_ranked(origin, own[0].index, query.tolist(), eligible, wanted))


def search_by_image(
    image: bytes | BinaryIO,
    limit: int | None = None,
    filters: Filters | None = None,
    *,
    source: str | None = None,
) -> Results:
    """Products that look like this photo, which is read, encoded and forgotten.

    Two queries. Raises ImageRefused, InvalidLimit, InvalidFilter, SourceNotRegistered, and FingerprintMismatch if this
    process's encoder is not the one that the index was made with. Before anything is indexed the page is empty and its
    ``state`` pending.
    """
    origin = only_source(source)
    wanted = checked_limit(limit)
    eligible = origin.eligible_images(filters)
    picture = open_image(image)
    index = active_index(origin)
    if index is None:
        return Results(state=State.PENDING, reason="Nothing is indexed yet.")
    vector = encoder_of(index).encode([picture])[0]
    with _named_values(filters):
        return Results(_ranked(origin, index, vector.tolist(), eligible, wanted))


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


@contextlib.contextmanager
def _named_values(filters: Filters | None) -> Iterator[None]:
    """A filter's value may pass its form and still be more than a column holds: 1e400 as a price."""
    try:
        yield
    except DataError as error:
        if not filters:
            raise
        raise InvalidFilter(f"A value is out of range: {', '.join(sorted(filters))}.") from error


def checked_limit(limit: int | None) -> int:
    """The limit, or the default. Raises InvalidLimit outside 1 to MAX_LIMIT."""
    if limit is None:
        return int(conf.DEFAULT_LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= conf.MAX_LIMIT:
        raise InvalidLimit(f"limit must be a whole number from 1 to {conf.MAX_LIMIT}, not {limit!r}.")
    return limit


def _own_vectors(source: ImageSource, product_pk: Any) -> list[ImageEmbedding]:
    keys = source.images_of(product_pk).order_by()
    text = keys.annotate(visualsearch_key=Cast("pk", models.CharField()))
    own = ImageEmbedding.objects.filter(
        index__source=source.name,
        index__state=VisualIndex.State.ACTIVE,
        object_id__in=text.values("visualsearch_key"),
        vector__isnull=False,
    )
    return list(own.select_related("index").order_by("object_id"))


def _ranked(
    source: ImageSource,
    index: VisualIndex,
    vector: Sequence[float],
    eligible: models.QuerySet[Any],
    limit: int,
) -> list[Match]:
    """The nearest image of each of the ``limit`` nearest products."""
    product = source.product_field
    related = (*([product] if product else []), *source.related)
    neighbours = get_store().search(index, vector, eligible, limit, distinct=product, related=related)
    distances = [max(0.0, round(neighbour.distance, DIGITS)) for neighbour in neighbours]
    calibration = calibration_of(index.calibration, index.fingerprint)
    scores = calibration.scores(distances) if calibration else [None] * len(distances)
    found = zip(neighbours, scores, distances, strict=True)
    return [
        Match(source.product_of(neighbour.image), neighbour.image, score, distance, rank)
        for rank, (neighbour, score, distance) in enumerate(found, start=1)
    ]
