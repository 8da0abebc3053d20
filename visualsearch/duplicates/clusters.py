"""Which pairs hang together, and dismissing them. A dismissed pair holds nothing together any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from django.db import connections, models, router, transaction

from visualsearch.models import DismissedPair, DuplicatePair, DuplicateSearch
from visualsearch.sources import ImageSource

STEP = 5_000  # pairs of one statement

ItemT = TypeVar("ItemT")

SET_CLUSTERS = """
    UPDATE visualsearch_duplicatepair SET cluster = new.cluster
    FROM unnest(%s::bigint[], %s::bigint[]) AS new (id, cluster)
    WHERE visualsearch_duplicatepair.id = new.id AND visualsearch_duplicatepair.cluster IS DISTINCT FROM new.cluster
"""


def dismiss(source: ImageSource, pairs: Iterable[tuple[str, str]]) -> list[DismissedPair]:
    """Says of pairs of products, by their keys as text, that they may look alike, for good. Returns those that nobody
    had said it of before."""
    wanted = {tuple(sorted(pair)) for pair in pairs}
    with transaction.atomic(using=router.db_for_write(DismissedPair)):
        searches = list(DuplicateSearch.objects.select_for_update().filter(source=source.name).order_by("pk"))
        known = set(_known(source, wanted))
        new = [DismissedPair(source=source.name, first=one, second=other) for one, other in sorted(wanted - known)]
        made = DismissedPair.objects.bulk_create(new, batch_size=STEP)
        for found in searches:
            if found.finished_at is not None:
                regroup(found, _clusters(found, wanted))
    return made


def _known(source: ImageSource, pairs: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    own = DismissedPair.objects.filter(source=source.name)
    for part in _parts(pairs):
        yield from own.filter(first__in={one for one, _ in part}).values_list("first", "second")


def _clusters(found: DuplicateSearch, pairs: Iterable[tuple[str, ...]]) -> set[int]:
    """Those of the pairs. A pair that is not among the search's was not found near enough, and is in none."""
    clusters: set[int] = set()
    for part in _parts(pairs):
        wanted, firsts = set(part), {one for one, _ in part}
        held = found.pairs.filter(first__in=firsts, cluster__isnull=False).values_list("first", "second", "cluster")
        clusters |= {cluster for first, second, cluster in held if cluster and (first, second) in wanted}
    return clusters


def regroup(found: DuplicateSearch, clusters: Iterable[int] | None = None) -> None:
    """Works out anew which pairs hang together: all, or those of some clusters.

    Held in memory are the products that have a pair, and nothing of the others.
    """
    dismissed = DismissedPair.objects.filter(
        source=found.source, first=models.OuterRef("first"), second=models.OuterRef("second")
    )
    pairs = found.pairs.all() if clusters is None else found.pairs.filter(cluster__in=set(clusters))
    left = pairs.filter(~models.Exists(dismissed)).order_by("pk")
    with transaction.atomic(using=router.db_for_write(DuplicatePair)):
        standing = _standing(left.values_list("pk", "first", "second"))
        new = [(pk, standing[first]) for pk, first in left.values_list("pk", "first").iterator(chunk_size=STEP)]
        pairs.filter(models.Exists(dismissed)).update(cluster=None)
        for part in _parts(new):
            with connections[router.db_for_write(DuplicatePair)].cursor() as cursor:
                cursor.execute(SET_CLUSTERS, [[pk for pk, _ in part], [cluster for _, cluster in part]])


def _standing(pairs: models.QuerySet[DuplicatePair, tuple[int, str, str]]) -> dict[str, int]:
    """For each product the number of the first pair that it hangs together with, by union and find."""
    parent: dict[str, str] = {}
    lowest: dict[str, int] = {}

    def root(product: str) -> str:
        while (above := parent.setdefault(product, product)) != product:
            parent[product] = parent[above]
            product = parent[product]
        return product

    for pk, first, second in pairs.iterator(chunk_size=STEP):
        one, other = root(first), root(second)
        parent[other] = one
        lowest[one] = min(pk, lowest.get(one, pk), lowest.pop(other, pk) if other != one else pk)
    return {product: lowest[root(product)] for product in list(parent)}


def _parts(items: Iterable[ItemT]) -> Iterator[list[ItemT]]:
    iterator = iter(items)
    while part := list(islice(iterator, STEP)):
        yield part
