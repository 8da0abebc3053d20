"""What a search found, as staff see it: groups of products, nearest first, with the pictures as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import RowNumber

from visualsearch.models import DuplicatePair, DuplicateSearch, rows
from visualsearch.sources import ImageSource

MOST_MEMBERS = 100  # of a group whose every pair may be dismissed at once: 4,950 pairs


@dataclass(frozen=True)
class Side:
    """One product of a pair: ``key`` is its own, as text; ``is_shown`` says whether the shop shows it now."""

    key: str
    product: Any
    image: Any
    is_shown: bool


@dataclass(frozen=True)
class Found:
    """Two products and the cosine distance of their nearest two pictures."""

    first: Side
    second: Side
    distance: float
    same_file: bool


@dataclass
class Group:
    """Pairs that hang together: ``products`` and ``count`` are of all its pairs, ``pairs`` are the nearest of them."""

    number: int
    distance: float
    count: int
    products: int
    pairs: list[Found] = field(default_factory=list)

    @property
    def sides(self) -> list[Side]:
        """The products of ``pairs``, each once."""
        return list({side.key: side for pair in self.pairs for side in (pair.first, pair.second)}.values())

    @property
    def is_dismissible(self) -> bool:
        """Whether it is small enough for all pairs of its products to be dismissed at once."""
        return self.products <= MOST_MEMBERS


def shown(found: DuplicateSearch) -> models.QuerySet[DuplicatePair]:
    """The pairs that nobody dismissed, of images that are there and have not been indexed anew since the search."""
    pairs = found.pairs.filter(cluster__isnull=False)
    for side in ("first_image", "second_image"):
        same = rows(found.index, object_id=models.OuterRef(side), vector__isnull=False)
        pairs = pairs.filter(models.Exists(same.exclude(indexed_at__gt=found.started_at)))
    return pairs


def groups_of(found: DuplicateSearch) -> models.QuerySet[Any, dict[str, Any]]:
    """Cluster, distance of its nearest pair and number of pairs of every group, nearest first."""
    counted: Any = shown(found).order_by().values("cluster")
    counted = counted.annotate(nearest=models.Min("distance"), count=models.Count("pk"))
    nearest_first: models.QuerySet[Any, dict[str, Any]] = counted.order_by("nearest", "cluster")
    return nearest_first


def members(found: DuplicateSearch, cluster: int) -> list[tuple[str, str]]:
    """Every pair of the group's products, in order of their keys, whether near or not. Empty for more than MOST_MEMBERS
    products."""
    held = shown(found).filter(cluster=cluster).values_list("first", "second")
    keys: set[str] = set()
    for pair in held.iterator():
        keys.update(pair)
        if len(keys) > MOST_MEMBERS:
            return []
    return list(combinations(sorted(keys), 2))


def loaded(
    source: ImageSource, found: DuplicateSearch, page: Iterable[dict[str, Any]], pairs: int, skip: int = 0
) -> list[Group]:
    """Groups of a page of ``groups_of``, each with ``pairs`` of its nearest pairs after ``skip``. Four queries.

    A pair whose image was given to another product since the search is left out.
    """
    groups = {row["cluster"]: Group(row["cluster"], row["nearest"], row["count"], 0) for row in page}
    own = shown(found).filter(cluster__in=list(groups))
    keys: dict[int | None, set[str]] = {number: set() for number in groups}
    for number, *pair in own.values_list("cluster", "first", "second").iterator():
        keys[number].update(pair)
    for number, group in groups.items():
        group.products = len(keys[number])
    order = models.Window(RowNumber(), partition_by="cluster", order_by=["distance", "pk"])
    nearest = own.annotate(place=order).filter(place__gt=skip, place__lte=skip + pairs).order_by("distance", "pk")
    _fill(source, groups, list(nearest))
    return list(groups.values())


def _fill(source: ImageSource, groups: dict[int, Group], pairs: Sequence[DuplicatePair]) -> None:
    sides = {image: key for pair in pairs for image, key in _images(pair)}
    images = source.loaded(sides)
    products = [source.product_pk_of(image) for image in images.values()]
    eligible = {str(pk) for pk in source.eligible_products().filter(pk__in=products).values_list("pk", flat=True)}
    for pair in pairs:
        both = []
        for image, key in _images(pair):
            if (held := images.get(image)) is not None and str(source.product_pk_of(held)) == key:
                both.append(Side(key, source.product_of(held), held, key in eligible))
        if len(both) == 2 and pair.cluster is not None:
            groups[pair.cluster].pairs.append(Found(both[0], both[1], pair.distance, pair.same_file))


def _images(pair: DuplicatePair) -> list[tuple[str, str]]:
    return [(pair.first_image, pair.first), (pair.second_image, pair.second)]


def names(source: ImageSource, keys: Iterable[str]) -> dict[str, str]:
    """What products are called, by key as text; those that are gone are left out. One query."""
    wanted, pk = [], source.product_model._meta.pk
    for key in keys:
        try:
            wanted.append(pk.to_python(key))
        except ValidationError:
            continue
    found = source.product_model._default_manager.filter(pk__in=wanted)
    return {str(product.pk): str(product) for product in found} if wanted else {}
