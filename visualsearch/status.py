"""Counts of one source's images by state, read from its rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from django.db.models import Count

from visualsearch import indexing
from visualsearch.calibration import calibration_in_use
from visualsearch.exceptions import EncoderError
from visualsearch.models import VisualIndex, active_index
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store


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

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def status_of(source: ImageSource) -> SourceStatus:
    """The source's present state. Four queries, whatever its size."""
    images = source.with_file().count()
    index = active_index(source)
    if index is None:
        return SourceStatus(source.name, images, pending=images)
    pending = indexing.out_of_date(index, source).filter(pk__in=source.with_file().values("pk")).count()
    failures = indexing.failed(index, source).order_by().values_list("visualsearch_code").annotate(Count("pk"))
    by_code = dict(failures.order_by("visualsearch_code"))
    failed = sum(by_code.values())
    return SourceStatus(
        source=source.name,
        images=images,
        indexed=max(0, images - pending - failed),
        pending=pending,
        failed=failed,
        failed_by_code=by_code,
        version=index.pk,
        encoder=index.encoder,
        fingerprint=index.fingerprint,
        encoder_fits=encoder_fits(index),
        prepared=get_store().is_prepared(index),
        calibration=calibration_in_use(index.calibration, index.fingerprint),
    )


def encoder_fits(index: VisualIndex) -> bool:
    """Whether this process's encoder is the one that made the index."""
    try:
        indexing.encoder_of(index)
    except EncoderError:
        return False
    return True
