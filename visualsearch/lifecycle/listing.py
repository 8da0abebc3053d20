"""A source's versions as they are now, for those who look after them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from visualsearch.exceptions import EncoderError
from visualsearch.indexing import encoder_of
from visualsearch.lifecycle.building import progress_of
from visualsearch.models import VisualIndex
from visualsearch.sources import ImageSource
from visualsearch.stores import Condition, get_store


@dataclass(frozen=True)
class Listed:
    """One version and how far it is. ``rate`` is in images a second, ``eta_s`` in seconds, while it is built."""

    version: int
    state: str
    encoder: str
    fingerprint: str
    encoder_fits: bool
    dimensions: int
    images: int
    indexed: int
    pending: int
    failed: int
    rate: float | None
    eta_s: int | None
    graph: str
    created_at: datetime
    activated_at: datetime | None

    @property
    def ready(self) -> bool:
        return not self.pending and self.graph == Condition.READY


def listed(source: ImageSource) -> list[Listed]:
    """All versions of the source, the newest first."""
    return [_listed(source, index) for index in VisualIndex.objects.of(source).order_by("-pk")]


def _listed(source: ImageSource, index: VisualIndex) -> Listed:
    progress = progress_of(index, source)
    return Listed(
        version=index.pk,
        state=index.state,
        encoder=index.encoder,
        fingerprint=index.fingerprint,
        encoder_fits=_fits(index),
        dimensions=index.dimensions,
        images=progress.images,
        indexed=progress.indexed,
        pending=progress.pending,
        failed=progress.failed,
        rate=progress.rate,
        eta_s=progress.eta_s,
        graph=get_store().condition(index).value,
        created_at=index.created_at,
        activated_at=index.activated_at,
    )


def _fits(index: VisualIndex) -> bool:
    try:
        encoder_of(index)
    except EncoderError:
        return False
    return True
