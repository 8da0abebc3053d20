"""What a store is: vectors in, nearest neighbours out. It knows no encoder and reads no picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from django.core.checks import CheckMessage
from django.db.models import QuerySet

from visualsearch.encoders.base import Vectors
from visualsearch.exceptions import StoreError
from visualsearch.models import VisualIndex, rows


class Neighbour(NamedTuple):
    """One image near the query, with its cosine distance (0: the same direction, 2: the opposite)."""

    image: Any
    distance: float


class Condition(StrEnum):
    """What became of a version's prepare()."""

    READY = "ready"
    MISSING = "missing"
    IN_PROGRESS = "in progress"
    INVALID = "invalid"  # cut short, or of another version's dimensions


class Store(ABC):
    """Keeps the vectors of every index version and finds the nearest of those whose image is eligible."""

    @abstractmethod
    def prepare(self, index: VisualIndex) -> None:
        """Makes the version quick to search. Called again, it does nothing. Vectors may come before or after."""

    @abstractmethod
    def is_prepared(self, index: VisualIndex) -> bool:
        """Whether prepare() has been carried out and still holds."""

    def condition(self, index: VisualIndex) -> Condition:
        """The same, and why not."""
        return Condition.READY if self.is_prepared(index) else Condition.MISSING

    @abstractmethod
    def drop(self, index: VisualIndex) -> None:
        """Undoes prepare() without blocking readers."""

    @abstractmethod
    def upsert(self, index: VisualIndex, ids: Sequence[str], vectors: Vectors) -> None:
        """Sets the vectors, float32 (n, dimensions), of images that have a row. Joins the caller's transaction."""

    def vectors(self, index: VisualIndex, ids: Sequence[str]) -> Vectors:
        """The vectors, float32 (n, dimensions), of these images in this order. Raises StoreError where one has none."""
        held = rows(index, object_id__in=ids, vector__isnull=False).values_list("object_id", "vector")
        return in_order(index, ids, {pk: np.asarray(vector, dtype=np.float32) for pk, vector in held})

    @abstractmethod
    def delete(self, index: VisualIndex, ids: Sequence[str]) -> None:
        """Removes the images' rows and vectors. Ids that have none are no error."""

    @abstractmethod
    def search(
        self,
        index: VisualIndex,
        vector: Sequence[float],
        eligible: QuerySet[Any],
        limit: int,
        *,
        distinct: str | None = None,
        related: Sequence[str] = (),
        without: Sequence[Any] = (),
        anchors: Sequence[str] = (),
        exact: bool = False,
    ) -> list[Neighbour]:
        """The ``limit`` images of the queryset nearest to the vector, nearest first, ties by primary key.

        ``eligible`` is a queryset of the source's image model. ``distinct`` names a field of it: then the answer holds
        the nearest image of each of the ``limit`` nearest values. ``related`` names relations to load with each image,
        so that a page costs one query. Returns fewer only where fewer are eligible and have a vector. ``exact``
        compares with every eligible image instead of walking the graph.

        ``without`` are values of ``distinct``, or primary keys where that is None, of which nothing is returned.
        ``anchors`` are keys, as text, of images whose mean direction the vector is, so that a store may make it of its
        own. Where they are eligible, ways that do not come by any of them lead astray.
        """

    def unfit(self, index: VisualIndex) -> Iterator[tuple[str, str]]:
        """Images of the version whose vector cannot be one of its encoder's, each with what is wrong with it: not of
        unit length, not finite, or of another number of dimensions."""
        yield from ()

    def leftovers(self) -> list[str]:
        """Names of what prepare() made for versions that are no more."""
        return []

    def drop_leftovers(self) -> list[str]:
        """Removes these without blocking readers, and returns their names."""
        return []

    def check(self) -> Iterator[CheckMessage]:
        """What is wrong with the database that this store uses, as system check messages."""
        yield from ()


def in_order(index: VisualIndex, ids: Sequence[str], found: Mapping[str, Any]) -> Vectors:
    """The vectors found, as rows in the order of ``ids``. Raises StoreError where one is not among them."""
    if missing := [pk for pk in ids if pk not in found]:
        raise StoreError(f"Version {index.pk} of {index.source!r} has no vector of image {missing[0]}.")
    if not len(ids):
        return np.empty((0, index.dimensions), dtype=np.float32)
    return np.stack([found[pk] for pk in ids]).astype(np.float32)
