"""Which version searches use: put to use, taken back, and thrown away when nobody will go back to it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

from visualsearch.exceptions import EncoderError, VersionRefused
from visualsearch.indexing import encoder_of
from visualsearch.lifecycle.verifying import MINIMUM_RECALL, Verification, verify
from visualsearch.lifecycle.versions import filling, operating
from visualsearch.models import VisualIndex, active_index, rows
from visualsearch.search import sameness
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

State = VisualIndex.State
STEP = 5_000  # rows of a version that are deleted in one transaction
GRACE = 5.0  # seconds that a search may go on with the version that it began with


@dataclass(frozen=True)
class Switch:
    """Searches use ``version`` instead of ``before``. ``overridden`` are reasons against it that force set aside."""

    version: int
    before: int | None
    overridden: list[str] = field(default_factory=list)
    verification: Verification | None = None


def activate(
    source: ImageSource,
    index: VisualIndex,
    *,
    force: bool = False,
    minimum_recall: float = MINIMUM_RECALL,
    sample: int | None = None,
) -> Switch:
    """Verifies this version and makes searches use it; the one before is kept, retired.

    Raises VersionRefused with the reasons against it, unless ``force``; AnotherOperator.
    """
    with operating(source, "activate"):
        if (active := active_index(source)) and active.pk == index.pk:
            raise VersionRefused(f"Version {index.pk} of {source} is in use already.")
        get_store().prepare(index)
        found = verify(source, index, minimum_recall=minimum_recall, sample=sample)
        _require(source, index, "activated", found.refusals, force)
        sameness.measure(index)
        before = _switch(source, index)
    return Switch(index.pk, before, found.refusals, found)


def rollback(source: ImageSource, *, force: bool = False) -> Switch:
    """Makes searches use the version before at once. What was saved since is to be indexed in it afterwards.

    Raises VersionRefused where there is none, or this process has not its encoder, unless ``force``; AnotherOperator.
    """
    with operating(source, "roll back"):
        retired = VisualIndex.objects.of(source).filter(state=State.RETIRED, activated_at__isnull=False)
        index = retired.order_by("-activated_at", "-pk").first()
        if index is None:
            raise VersionRefused(f"Source {source.name!r} has no version to go back to.")
        reasons = []
        try:
            encoder_of(index)
        except EncoderError as error:
            reasons.append(str(error))
        _require(source, index, "activated again", reasons, force)
        before = _switch(source, index)
        get_store().prepare(index)
    return Switch(index.pk, before, reasons)


def _require(source: ImageSource, index: VisualIndex, what: str, reasons: list[str], force: bool) -> None:
    if reasons and not force:
        raise VersionRefused(f"Version {index.pk} of {source} is not {what}: {' '.join(reasons)}")


def _switch(source: ImageSource, index: VisualIndex) -> int | None:
    """In one transaction. Returns the number of the version that was active."""
    with transaction.atomic(using=router.db_for_write(VisualIndex)):
        versions = list(VisualIndex.objects.of(source).select_for_update().order_by("pk"))
        if index.pk not in [version.pk for version in versions]:
            raise VersionRefused(f"Version {index.pk} of {source} is there no more.")
        before = next((version.pk for version in versions if version.state == State.ACTIVE), None)
        # After all others', even where the clock was set back: a rollback goes by it.
        times = [version.activated_at + timedelta(microseconds=1) for version in versions if version.activated_at]
        now = max([timezone.now(), *times])
        VisualIndex.objects.of(source).active().update(state=State.RETIRED)
        VisualIndex.objects.filter(pk=index.pk).update(state=State.ACTIVE, activated_at=now)
    return before


def prune(source: ImageSource, *, keep: int = 1, only: VisualIndex | None = None) -> dict[int, int]:
    """Throws retired versions away but for the ``keep`` that were in use last, or only the one that is named, which
    may be one that is being built. Returns the numbers of rows by version.

    Rows go in steps and graphs without a lock on the table, so that searches and saves go on. Raises VersionRefused for
    the active version, AnotherOperator.
    """
    with operating(source, "prune"):
        if only is not None and only.state == State.ACTIVE:
            raise VersionRefused(f"Version {only.pk} of {source} is in use; activate another one first.")
        retired = VisualIndex.objects.of(source).filter(state=State.RETIRED)
        unused = [only] if only else list(retired.order_by(F("activated_at").desc(nulls_last=True), "-pk")[keep:])
        if any(index.activated_at for index in unused):
            _outwait_searches(source)
        return {index.pk: _throw_away(index) for index in unused}


def _outwait_searches(source: ImageSource) -> None:
    """A search that began before the last switch still reads the version that was active then."""
    active = active_index(source)
    if active and active.activated_at:
        since = (timezone.now() - active.activated_at).total_seconds()  # below 0 after the clock was set back
        time.sleep(min(GRACE, max(0.0, GRACE - since)))


def _throw_away(index: VisualIndex) -> int:
    with filling(index):
        # From here on nobody goes back to it, nor indexes into it, even if this is cut short.
        VisualIndex.objects.filter(pk=index.pk).update(state=State.RETIRED, activated_at=None)
        get_store().drop(index)
        total = 0
        while pks := list(rows(index).order_by("pk").values_list("pk", flat=True)[:STEP]):
            total += rows(index, pk__in=pks).delete()[0]
        VisualIndex.objects.filter(pk=index.pk).delete()
    return total
