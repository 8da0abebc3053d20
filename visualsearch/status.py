"""What is so of one source: its images by state, its version, its worker, its searches. Read from the database."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from visualsearch import indexing
from visualsearch.calibration import calibration_in_use
from visualsearch.exceptions import EncoderError
from visualsearch.lifecycle.building import RECENTLY, settled
from visualsearch.models import ImageEmbedding, IndexedSource, VisualIndex, active_index, rows
from visualsearch.pausing import held_tasks
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store
from visualsearch.usage import Usage, usage_of
from visualsearch.workers import is_silent


@dataclass(frozen=True)
class SourceStatus:
    """What visualsearch_status shows. ``images`` are those with a file; each is indexed, pending or failed."""

    source: str
    images: int
    indexed: int = 0
    pending: int = 0
    failed: int = 0
    failed_by_code: dict[str, int] = field(default_factory=dict)
    version: int | None = None
    encoder: str = ""
    fingerprint: str = ""
    encoder_fits: bool = True
    prepared: bool = False
    calibration: str = ""  # where scores come from: "own", "bundled" or "none"
    rate: float | None = None  # images a second over the last minute, while some are pending
    eta_s: int | None = None  # seconds until none is, at this rate
    paused_since: datetime | None = None
    held: int = 0  # tasks that wait for the end of the pause
    worker_seen_at: datetime | None = None
    today: Usage = field(default_factory=Usage)  # searches

    @property
    def no_worker(self) -> bool:
        """Whether no worker has given a sign of life for longer than one that runs would take."""
        return is_silent(self.worker_seen_at)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, times in ISO format."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(self).items()
        }


def status_of(source: ImageSource) -> SourceStatus:
    """The source's present state, in seven queries at most."""
    images = source.with_file().count()
    index = active_index(source)
    kept = IndexedSource.objects.filter(pk=source.name).first() or IndexedSource(source.name)
    about: dict[str, Any] = {
        "paused_since": kept.paused_at,
        "held": held_tasks(source.name) if kept.paused_at else 0,
        "worker_seen_at": kept.worker_seen_at,
        "today": usage_of(source.name),
    }
    if index is None:
        return SourceStatus(source.name, images, pending=images, **about)
    known = settled(index, source)
    by_code = {code: count for (state, code), count in sorted(known.items()) if state == ImageEmbedding.State.FAILED}
    failed = sum(by_code.values())
    indexed = sum(known.values()) - failed
    pending = max(0, images - indexed - failed)
    rate = _rate(index) if pending else None
    return SourceStatus(
        source=source.name,
        images=images,
        indexed=indexed,
        pending=pending,
        failed=failed,
        failed_by_code=by_code,
        version=index.pk,
        encoder=index.encoder,
        fingerprint=index.fingerprint,
        encoder_fits=encoder_fits(index),
        prepared=get_store().is_prepared(index),
        calibration=calibration_in_use(index.calibration, index.fingerprint),
        rate=rate,
        eta_s=round(pending / rate) if rate else None,
        **about,
    )


def _rate(index: VisualIndex) -> float | None:
    """Images a second that were indexed lately; None where none was."""
    since = timezone.now() - timedelta(seconds=RECENTLY)
    recent = rows(index, state=ImageEmbedding.State.INDEXED, indexed_at__gt=since).count()
    return round(recent / RECENTLY, 2) if recent else None


def encoder_fits(index: VisualIndex) -> bool:
    """Whether this process's encoder is the one that made the index."""
    try:
        indexing.encoder_of(index)
    except EncoderError:
        return False
    return True
