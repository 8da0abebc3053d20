"""Looking for near-duplicates: the nearest neighbours of every image, by the version's own database index.

Each step asks for the neighbours of some images in one statement and keeps the pairs, so that memory is that of a step,
whatever the catalogue's size. Nothing is compared with everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from django.db import connections, router, transaction
from django.db.models import Count
from django.utils import timezone

from visualsearch.duplicates.clusters import regroup
from visualsearch.exceptions import AnotherOperator, VersionRefused
from visualsearch.models import DuplicatePair, DuplicateSearch, VisualIndex, active_index, rows
from visualsearch.search.sameness import same_within
from visualsearch.sources import ImageSource, get_source
from visualsearch.stores.together import Near, nearest_of_each
from visualsearch.stores.vectors import vectors_of

BATCH = 64  # images whose neighbours are asked for in one statement
NEIGHBOURS = 8  # of each image, itself and its product's others among them
MORE_NEIGHBOURS = 32  # where all of these are near enough, as with a placeholder that many products have
STEP = 1_000  # rows of one statement of the last pass, over files that are the same
LOST = timedelta(minutes=10)  # without a step, after which a search is taken to have died with its worker

# A pair once more, in another version's or the other direction's numbers: the nearest counts.
WRITE = """
    INSERT INTO visualsearch_duplicatepair
        (search_id, first, second, first_image, second_image, distance, same_file)
    SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::bool[])
    ON CONFLICT (search_id, first, second) DO UPDATE SET
        first_image = excluded.first_image, second_image = excluded.second_image,
        distance = excluded.distance, same_file = excluded.same_file
    WHERE excluded.distance < visualsearch_duplicatepair.distance
        OR (excluded.same_file AND NOT visualsearch_duplicatepair.same_file)
"""

Pairs = dict[tuple[str, str], tuple[str, str, float, bool]]  # products: their images, the distance, whether same file


def latest(source: ImageSource) -> DuplicateSearch | None:
    """The last search of the source that was finished."""
    done = DuplicateSearch.objects.filter(source=source.name, finished_at__isnull=False)
    return done.select_related("index").order_by("-pk").first()


def under_way(source: ImageSource) -> DuplicateSearch | None:
    """A search that somebody is at."""
    running = DuplicateSearch.objects.filter(source=source.name, finished_at__isnull=True)
    return running.filter(moved_at__gt=timezone.now() - LOST).order_by("-pk").first()


def begin(source: ImageSource) -> DuplicateSearch:
    """A new search in the source's active version. One that was begun before and not finished is given up.

    It asks for the version's threshold (``same_within``), which may take some seconds. Raises VersionRefused where no
    version is in use.
    """
    index = active_index(source)
    if index is None:
        raise VersionRefused(f"Source {source.name!r} has no index version yet; index its images first.")
    within = same_within(index)
    with transaction.atomic(using=router.db_for_write(DuplicateSearch)):
        DuplicateSearch.objects.filter(source=source.name, finished_at__isnull=True).delete()
        total = rows(index, vector__isnull=False).count()
        return DuplicateSearch.objects.create(source=source.name, index=index, within=within, total=total)


def search(source: ImageSource, report: Callable[[int], Any] = lambda images: None) -> DuplicateSearch:
    """Searches the whole source here and now, and says after each step how many images it looked at.

    Raises VersionRefused, and AnotherOperator where another search of the source is begun meanwhile.
    """
    found = begin(source)
    while looked := step(found):
        report(looked)
    return found


def step(found: DuplicateSearch, size: int = BATCH) -> int:
    """Compares the next ``size`` images with their neighbours. Returns how many there were; after 0 it is finished.

    Raises AnotherOperator where another process took this step first, or began another search.
    """
    source, index = get_source(found.source), found.index
    batch = rows(index, vector__isnull=False, pk__gt=found.last).order_by("pk")
    hashes = {}
    last = found.last
    for pk, key, content_hash in batch.values_list("pk", "object_id", "content_hash")[:size]:
        hashes[key], last = content_hash, pk
    if hashes:
        _write(found, _near_pairs(source, index, hashes, found.within), last, len(hashes))
    else:
        _finish(found, source)
    return len(hashes)


def _near_pairs(source: ImageSource, index: VisualIndex, hashes: dict[str, str], within: float) -> Pairs:
    vectors = vectors_of(index, list(hashes))
    keys = sorted(vectors)
    owners = _owners(source, keys)
    near = dict(zip(keys, _neighbours(source, index, [vectors[key] for key in keys], NEIGHBOURS), strict=True))
    crowded = [key for key in keys if all(one.distance <= within for one in near[key])]
    if crowded and min(len(near[key]) for key in crowded) >= NEIGHBOURS:
        more = _neighbours(source, index, [vectors[key] for key in crowded], MORE_NEIGHBOURS)
        near |= zip(crowded, more, strict=True)
    pairs: Pairs = {}
    for key in keys:
        for one in near[key]:
            if one.distance <= within and key in owners and one.product is not None:
                _keep(pairs, (owners[key], key), (str(one.product), str(one.image)), max(0.0, one.distance))
    return _with_same_files(index, hashes, pairs)


def _neighbours(source: ImageSource, index: VisualIndex, vectors: Sequence[Any], limit: int) -> list[list[Near]]:
    return nearest_of_each(index, np.stack(vectors), source.images(), limit, distinct=source.product_field)


def _keep(pairs: Pairs, one: tuple[str, str], other: tuple[str, str], distance: float, same_file: bool = False) -> None:
    """Of the two products' pictures, product and image each, the nearest two; none of a product with itself."""
    if one[0] == other[0]:
        return
    (first, first_image), (second, second_image) = sorted([one, other])
    known = pairs.get((first, second))
    if known is None or distance < known[2]:
        pairs[first, second] = (first_image, second_image, distance, same_file)


def _owners(source: ImageSource, keys: Sequence[str]) -> dict[str, str]:
    """The product of each image that is still there and has one, as text."""
    found = source.of_keys(keys).order_by().values_list("pk", source.product_field or "pk")
    return {str(pk): str(owner) for pk, owner in found if owner is not None}


def _with_same_files(index: VisualIndex, hashes: dict[str, str], pairs: Pairs) -> Pairs:
    unknown = {key for images in pairs.values() for key in images[:2]} - set(hashes)
    known = hashes | dict(rows(index, object_id__in=unknown).values_list("object_id", "content_hash"))
    return {
        products: (one, other, distance, bool(known.get(one)) and known.get(one) == known.get(other))
        for products, (one, other, distance, _) in pairs.items()
    }


def _write(found: DuplicateSearch, pairs: Pairs, last: int, images: int) -> None:
    """Keeps the pairs of a step, once: whoever computed the same step at the same time is told."""
    alias = router.db_for_write(DuplicateSearch)
    with transaction.atomic(using=alias):
        own = DuplicateSearch.objects.filter(pk=found.pk, last=found.last, finished_at__isnull=True)
        if not own.update(last=last, images=found.images + images, moved_at=timezone.now()):
            raise AnotherOperator(f"Another search for near-duplicates of {found.source} goes on; this one ends.")
        _insert(found, pairs)
    found.last, found.images = last, found.images + images


def _insert(found: DuplicateSearch, pairs: Pairs) -> None:
    if not pairs:
        return
    columns = [list(column) for column in zip(*((*products, *rest) for products, rest in pairs.items()), strict=True)]
    with connections[router.db_for_write(DuplicatePair)].cursor() as cursor:
        cursor.execute(WRITE, [found.pk, *columns])


def _finish(found: DuplicateSearch, source: ImageSource) -> None:
    """Adds what the neighbours of a crowd may have missed, and puts this search in the place of the one before."""
    with transaction.atomic(using=router.db_for_write(DuplicateSearch)):
        now = timezone.now()
        own = DuplicateSearch.objects.filter(pk=found.pk, finished_at__isnull=True)
        if not own.update(finished_at=now, moved_at=now):
            raise AnotherOperator(f"Another search for near-duplicates of {found.source} goes on; this one ends.")
        _same_files(found, source)
        regroup(found)
        DuplicateSearch.objects.filter(source=found.source, pk__lt=found.pk).delete()
    found.finished_at = now


def _same_files(found: DuplicateSearch, source: ImageSource) -> None:
    """Each image is paired with the one before it that has the same file: a chain, however many have it."""
    indexed = rows(found.index, vector__isnull=False).exclude(content_hash="")
    several = indexed.values("content_hash").annotate(count=Count("pk")).filter(count__gt=1).values("content_hash")
    same = indexed.filter(content_hash__in=several).order_by("content_hash", "pk")
    chain = same.values_list("content_hash", "object_id").iterator(chunk_size=STEP)
    before: tuple[str, str, str] | None = None  # content hash, product, image
    part: list[tuple[str, str]] = []
    for row in chain:
        part.append(row)
        if len(part) == STEP:
            before = _link(found, source, part, before)
            part = []
    _link(found, source, part, before)


def _link(
    found: DuplicateSearch, source: ImageSource, part: Sequence[tuple[str, str]], before: tuple[str, str, str] | None
) -> tuple[str, str, str] | None:
    owners, pairs = _owners(source, [key for _, key in part]), Pairs()
    for content_hash, key in part:
        if key not in owners:
            continue
        if before and before[0] == content_hash:
            _keep(pairs, before[1:], (owners[key], key), 0.0, same_file=True)
        before = (content_hash, owners[key], key)
    _insert(found, pairs)
    return before
