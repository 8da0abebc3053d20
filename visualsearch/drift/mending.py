"""Mending drift. Every repair is what the write path does anyway, so that it may come late, twice or in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from visualsearch import indexing, lifecycle
from visualsearch.drift.finding import MENDABLE, Drift, Kind
from visualsearch.drift.images import keys
from visualsearch.exceptions import EncoderError
from visualsearch.models import VisualIndex
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

# (keys of images, embed them even if the file has not changed) -> how many of them are still to be tried again.
Reindex = Callable[[list[str], bool], int]

FORCED = {Kind.VECTOR_UNFIT, Kind.VECTOR_WRONG}
GRAPHS = {Kind.INDEX_MISSING, Kind.INDEX_INVALID}
ROWS = {Kind.ROW_WITHOUT_IMAGE, Kind.INDEX_LEFT_OVER}


def mend(source: ImageSource | None, drift: Sequence[Drift], reindex: Reindex | None = None) -> int:
    """Repairs what can be repaired, and returns how many cases are left.

    Images are indexed here or by ``reindex``, which may queue them. A file that is missing or no image is mended by its
    row saying so. What belongs to no source is given with None.
    """
    left = sum(case.kind not in MENDABLE for case in drift)
    if any(case.kind is Kind.INDEX_LEFT_OVER for case in drift):
        get_store().drop_leftovers()
    if source is None:
        return left
    versions = {index.pk: index for index in VisualIndex.objects.of(source)}
    drift = [case for case in drift if case.version is None or case.version in versions]  # others went meanwhile
    for number, index in versions.items():
        own = [case for case in drift if case.version == number]
        if stray := [case for case in own if case.kind is Kind.ROW_WITHOUT_IMAGE]:
            get_store().delete(index, keys(stray))
        if any(case.kind in GRAPHS for case in own):
            get_store().prepare(index)
    images = [case for case in drift if case.kind in MENDABLE - GRAPHS - ROWS]
    return left + _indexed(source, images, versions, reindex)


def _indexed(
    source: ImageSource, images: Sequence[Drift], versions: dict[int, VisualIndex], reindex: Reindex | None
) -> int:
    """Retired versions follow no image, so that what is wrong in one is mended in it alone, here and now."""
    retired = {number for number, index in versions.items() if index.state == VisualIndex.State.RETIRED}
    live = [case for case in images if case.version not in retired]
    left = 0
    for force in (False, True):
        if found := keys([case for case in live if (case.kind in FORCED) is force]):
            left += (reindex or _here(source))(found, force)
    for number in retired:
        if found := keys([case for case in images if case.version == number]):
            try:
                left += len(found) - indexing.index_images(versions[number], source, found, force=True).indexed
            except EncoderError:
                left += len(found)  # named by the version before it is activated again
    return left


def _here(source: ImageSource) -> Reindex:
    def reindex(found: list[str], force: bool) -> int:
        try:
            outcome = lifecycle.index_images(source, list(found), force=force)
            lifecycle.prepare(source)
        except EncoderError:
            return len(found)
        return sum(map(len, outcome.retry.values()))

    return reindex
