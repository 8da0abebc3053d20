"""Index versions: which one a source uses, how the first comes to be, and which images a run takes up."""

from __future__ import annotations

from typing import Any, Literal

from django.db import IntegrityError, models, router, transaction
from django.utils import timezone

from visualsearch import indexing
from visualsearch.conf import conf
from visualsearch.encoders import get_encoder
from visualsearch.indexing import Outcome
from visualsearch.models import VisualIndex, active_index
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

Scope = Literal["missing", "failed", "all"]


def ensure_active(source: ImageSource) -> VisualIndex:
    """The source's active version, made with this process's encoder if there is none yet."""
    if index := active_index(source):
        return index
    encoder = get_encoder()
    try:
        with transaction.atomic(using=router.db_for_write(VisualIndex)):
            index = VisualIndex.objects.create(
                source=source.name,
                encoder=conf.ENCODER,
                fingerprint=encoder.fingerprint,
                dimensions=encoder.dimensions,
                state=VisualIndex.State.ACTIVE,
                activated_at=timezone.now(),
            )
    except IntegrityError:  # another worker was first; the constraint lets one version be active
        index = VisualIndex.objects.of(source).active().get()
    return index


def live_indexes(source: ImageSource) -> list[VisualIndex]:
    """The versions that follow the source's images; there is always an active one."""
    ensure_active(source)
    return list(VisualIndex.objects.of(source).live())


def index_images(source: ImageSource, pks: list[Any], *, force: bool = False) -> Outcome:
    """Brings images up to date in every live version of their source."""
    outcome = Outcome()
    for index in live_indexes(source):
        outcome += indexing.index_images(index, source, pks, force=force)
    return outcome


def to_index(source: ImageSource, scope: Scope) -> models.QuerySet[Any]:
    """The images that a run of this scope takes up."""
    if scope == "all":
        return source.images()
    index = ensure_active(source)
    return indexing.failed(index, source) if scope == "failed" else indexing.out_of_date(index, source)


def prepare(source: ImageSource) -> None:
    """Makes the source's versions quick to search. Cheapest after the rows are in."""
    for index in live_indexes(source):
        get_store().prepare(index)
