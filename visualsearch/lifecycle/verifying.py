"""Whether a version may be used: is it whole, does its graph find what is there, and what changes for customers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from django.db import models
from django.db.models.functions import Cast

from visualsearch import indexing
from visualsearch.exceptions import EncoderError
from visualsearch.indexing import encoder_of
from visualsearch.lifecycle.building import progress_of
from visualsearch.models import ImageEmbedding, VisualIndex, active_index, rows
from visualsearch.sources import ImageSource
from visualsearch.stores import Condition, Neighbour, get_store

MINIMUM_RECALL = 0.95
SAMPLE = 50  # queries
LIMIT = 10  # results of a query: recall and overlap at 10
SHOWN = 6  # queries that changed most
PATIENCE = 2.0  # seconds that images saved this moment have to arrive in both versions
TIES = 1e-6  # distances this near are the same: of identical pictures any may be found

State = ImageEmbedding.State


@dataclass(frozen=True)
class Changed:
    """A query (an image's key) with the keys of the images found by the active version and by the new one."""

    query: str
    overlap: float
    before: list[str]
    after: list[str]


@dataclass(frozen=True)
class Verification:
    """What verify() found. Latencies are milliseconds, recall and overlap shares of ten results, None where there was
    nothing to compare. ``behind`` are images that the active version has and this one has not yet, ``lost`` those that
    it could not read though the active version could."""

    source: str
    version: int
    images: int
    indexed: int
    failed: int
    pending: int
    behind: int
    lost: int
    graph: str
    queries: int
    recall: float | None
    minimum_recall: float
    p50_ms: float | None
    p95_ms: float | None
    active: int | None = None
    overlap: float | None = None
    active_p50_ms: float | None = None
    active_p95_ms: float | None = None
    refusals: list[str] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)


class _Answers(NamedTuple):
    """Of one sample of queries: pages by query, seconds, and recall of each."""

    pages: dict[str, list[Neighbour]]
    seconds: list[float]
    recall: list[float]


def verify(
    source: ImageSource, index: VisualIndex, *, minimum_recall: float = MINIMUM_RECALL, sample: int | None = None
) -> Verification:
    """Counts, recall against exact search, latency, and how much results differ from the active version's.

    The answer's ``refusals`` are sentences; without any the version may be activated.
    """
    active = active_index(source)
    other = active if active and active.pk != index.pk else None
    progress = progress_of(index, source)
    behind, lost = _lacking(source, index, other)
    graph = get_store().condition(index)
    queries = _sample(index, SAMPLE if sample is None else sample)
    new, old = _asked(source, index, other, queries)
    recall = float(np.mean(new.recall)) if new.recall else None
    changed = _changes(old.pages, new.pages)
    return Verification(
        source=source.name,
        version=index.pk,
        images=progress.images,
        indexed=progress.indexed,
        failed=progress.failed,
        pending=progress.pending,
        behind=behind,
        lost=lost,
        graph=graph.value,
        queries=len(queries),
        recall=recall,
        minimum_recall=minimum_recall,
        p50_ms=_percentile(new.seconds, 50),
        p95_ms=_percentile(new.seconds, 95),
        active=other.pk if other else None,
        overlap=float(np.mean([change.overlap for change in changed])) if changed else None,
        active_p50_ms=_percentile(old.seconds, 50),
        active_p95_ms=_percentile(old.seconds, 95),
        refusals=[
            *_incomplete(index, progress.indexed, progress.images, behind, lost),
            *_unready(index, graph),
            *_inexact(recall, minimum_recall),
        ],
        changed=sorted(changed, key=lambda change: change.overlap)[:SHOWN],
    )


def _incomplete(index: VisualIndex, indexed: int, images: int, behind: int, lost: int) -> list[str]:
    found = []
    if behind:
        found.append(f"It lacks {behind} of {images} images: build it to the end.")
    if lost:
        found.append(f"{lost} images that the active version finds failed in it.")
    if images and not indexed:
        found.append("It holds no vector.")
    return found


def _unready(index: VisualIndex, graph: Condition) -> list[str]:
    found = [] if graph is Condition.READY else [f"Its database index is {graph.value}: build it to the end."]
    try:
        encoder_of(index)
    except EncoderError as error:
        found.append(str(error))
    return found


def _inexact(recall: float | None, minimum: float) -> list[str]:
    if recall is None or recall >= minimum:
        return []
    return [f"Its recall is {recall:.3f}, below {minimum:g}: raise EF_SEARCH, or HNSW_M and build it again."]


def _lacking(source: ImageSource, index: VisualIndex, other: VisualIndex | None) -> tuple[int, int]:
    """Images that this version lacks, and those that it lost. A worker takes an image to one version after the other,
    so that those of this moment get a little time."""
    lacking = indexing.out_of_date(index, source)
    if other is None:
        return lacking.filter(pk__in=source.with_file().order_by().values("pk")).count(), 0
    there = rows(other, object_id=_key(), file=models.OuterRef(source.image_field), vector__isnull=False)
    lacking = lacking.filter(models.Exists(there.exclude(state=State.PENDING)))
    end = time.monotonic() + PATIENCE
    while (behind := lacking.count()) and time.monotonic() < end:
        time.sleep(PATIENCE / 8)
    lost = indexing.failed(index, source).filter(models.Exists(there))
    return behind, lost.count()


def _key() -> Cast:
    return Cast(models.OuterRef("pk"), models.CharField())


def _sample(index: VisualIndex, count: int) -> list[str]:
    """Keys of images with a vector, at random: the queries."""
    found = rows(index, vector__isnull=False).order_by("?").values_list("object_id", flat=True)
    return list(found[:count])


def _asked(
    source: ImageSource, index: VisualIndex, other: VisualIndex | None, queries: Sequence[str]
) -> tuple[_Answers, _Answers]:
    """Answers of the version and of the active one, in turns, so that what else the machine does falls on both."""
    new, old = _Answers({}, [], []), _Answers({}, [], [])
    for query in queries:
        _ask(source, index, query, new, exact=True)
        if other:
            _ask(source, other, query, old, exact=False)
    return new, old


def _ask(source: ImageSource, index: VisualIndex, query: str, answers: _Answers, *, exact: bool) -> None:
    """Searches as customers do with this image; with ``exact`` compares the page with the true one."""
    row = rows(index, object_id=query, vector__isnull=False).only("vector").first()
    if row is None:
        return
    vector = np.asarray(row.vector).tolist()
    eligible = source.eligible_images().exclude(pk=source.pk_field.to_python(query))
    search, distinct = get_store().search, source.product_field
    start = time.perf_counter()
    answers.pages[query] = page = search(index, vector, eligible, LIMIT, distinct=distinct)
    answers.seconds.append(time.perf_counter() - start)
    if exact and (truth := search(index, vector, eligible, LIMIT, distinct=distinct, exact=True)):
        last = truth[-1].distance + TIES
        answers.recall.append(min(1.0, sum(found.distance <= last for found in page) / len(truth)))


def _changes(old: dict[str, list[Neighbour]], new: dict[str, list[Neighbour]]) -> list[Changed]:
    changes = []
    for query in old.keys() & new.keys():
        before, after = _keys(old[query]), _keys(new[query])
        longest = max(len(before), len(after))
        overlap = len({*before} & {*after}) / longest if longest else 1.0
        changes.append(Changed(query, overlap, before, after))
    return changes


def _keys(page: Sequence[Neighbour]) -> list[str]:
    return [str(found.image.pk) for found in page]


def _percentile(seconds: list[float], percent: float) -> float | None:
    return round(float(np.percentile(seconds, percent)) * 1000, 2) if seconds else None


def images_of(source: ImageSource, keys: Sequence[str]) -> dict[str, Any]:
    """Images by their keys as text, with their products, for showing them."""
    found = source.images().filter(pk__in=[source.pk_field.to_python(key) for key in keys])
    if source.product_field:
        found = found.select_related(source.product_field)
    return {str(image.pk): image for image in found}
