"""Index versions: which one a source uses, how the first comes to be, and which images a run takes up."""

from __future__ import annotations

from typing import Any, Literal

from django.db import IntegrityError, models, router, transaction
from django.utils import timezone

from visualsearch import indexing
from visualsearch.conf import conf
from visualsearch.encoders import get_encoder
from visualsearch.exceptions import FingerprintMismatch
from visualsearch.indexing import Outcome
from visualsearch.models import VisualIndex, active_index
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

Scope = Literal["missing", "failed", "all"]
State = VisualIndex.State


def ensure_active(source: ImageSource) -> VisualIndex:
    """The source's active version, made with this process's encoder if there is none yet."""
    if index := active_index(source):
        return index
    try:
        with transaction.atomic(using=router.db_for_write(VisualIndex)):
            return _new_version(source, State.ACTIVE)
    except IntegrityError:  # another worker was first; the constraint lets one version be active
        return VisualIndex.objects.of(source).active().get()


def begin(source: ImageSource) -> VisualIndex:
    """A version of this process's encoder that is being built: one that was begun before, or a new one."""
    same = {"encoder": conf.ENCODER, "fingerprint": get_encoder().fingerprint}
    begun = VisualIndex.objects.of(source).filter(state=State.BUILDING, **same).first()
    return begun or _new_version(source, State.BUILDING)


def activate(index: VisualIndex) -> None:
    """Makes this the version that searches use, in one transaction; the one before is kept, retired."""
    get_store().prepare(index)
    with transaction.atomic(using=router.db_for_write(VisualIndex)):
        versions = VisualIndex.objects.filter(source=index.source).select_for_update()
        before = [version.pk for version in versions if version.state == State.ACTIVE and version.pk != index.pk]
        VisualIndex.objects.filter(pk__in=before).update(state=State.RETIRED)
        VisualIndex.objects.filter(pk=index.pk).update(state=State.ACTIVE, activated_at=timezone.now())


def _new_version(source: ImageSource, state: State) -> VisualIndex:
    encoder = get_encoder()
    return VisualIndex.objects.create(
        source=source.name,
        encoder=conf.ENCODER,
        fingerprint=encoder.fingerprint,
        dimensions=encoder.dimensions,
        state=state,
        activated_at=timezone.now() if state == State.ACTIVE else None,
    )


def index_images(source: ImageSource, pks: list[Any], *, force: bool = False) -> Outcome:
    """Brings images up to date in every live version of their source.

    Raises FingerprintMismatch, after the others are done, if one was made by another encoder than this process's.
    """
    ensure_active(source)
    outcome, mismatch = Outcome(), None
    for index in VisualIndex.objects.of(source).live():
        try:
            outcome += indexing.index_images(index, source, pks, force=force)
        except FingerprintMismatch as error:
            mismatch = error
    if mismatch:
        raise mismatch
    return outcome


def to_index(source: ImageSource, scope: Scope) -> models.QuerySet[Any]:
    """The images that a run of this scope takes up."""
    if scope == "all":
        return source.images()
    index = ensure_active(source)
    return indexing.failed(index, source) if scope == "failed" else indexing.out_of_date(index, source)


def prepare(source: ImageSource) -> None:
    """Makes the active version quick to search. Cheapest after the rows are in."""
    get_store().prepare(ensure_active(source))
