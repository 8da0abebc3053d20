"""How far the images of a page are indexed: one query, whatever the page's length."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import CharField, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Cast, JSONObject
from django.templatetags.static import static
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from visualsearch.calibration import calibration_in_use
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.sources import ImageSource, all_sources

State = ImageEmbedding.State

# The admin's own, but for its clock: that file holds two, one below the other, and needs a style to show one.
ICONS = {
    State.INDEXED: "admin/img/icon-yes.svg",
    State.PENDING: "visualsearch/icon-pending.svg",
    State.FAILED: "admin/img/icon-no.svg",
}


@dataclass
class IndexingState:
    """Images of one thing (an image, or a product with several) in the active version."""

    images: int = 0
    indexed: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)  # of failures, and of tries that come again

    @property
    def pending(self) -> int:
        return self.images - self.indexed - self.failed

    def add(self, state: str, reason: str) -> None:
        self.images += 1
        self.indexed += state == State.INDEXED
        self.failed += state == State.FAILED
        if reason and reason not in self.reasons:
            self.reasons.append(reason)


def states_of(source: ImageSource, owner: str, pks: Collection[Any]) -> dict[Any, IndexingState]:
    """States by the primary key of the owner: ``pk`` for images, ``product__pk`` for products. Owners without an image
    are left out.
    """
    row = ImageEmbedding.objects.filter(
        index__source=source.name,
        index__state=VisualIndex.State.ACTIVE,
        object_id=Cast(OuterRef("pk"), CharField()),
    )
    found = row.values(found=JSONObject(state="state", file="file", reason="reason"))
    images = source.with_file().filter(**{f"{owner}__in": list(pks)}).order_by("pk")
    states: dict[Any, IndexingState] = {}
    for key, file, known in images.values_list(owner, source.image_field, Subquery(found)):
        states.setdefault(key, IndexingState()).add(*present_state(known, file))
    return states


def present_state(row: dict[str, str] | None, file: str) -> tuple[str, str]:
    """State and reason of an image whose file is ``file``: what a row says of another file counts for nothing."""
    if row is None or row["file"] != file:
        return State.PENDING, ""
    return row["state"], row["reason"]


def is_stale() -> Q:
    """Rows of live versions whose image has another file by now, or is gone."""
    stale = Q(pk__in=[])
    for source in all_sources():
        same = source.images().annotate(visualsearch_key=Cast("pk", CharField()))
        same = same.filter(visualsearch_key=OuterRef("object_id"), **{source.image_field: OuterRef("file")})
        stale |= Q(index__source=source.name) & ~Q(Exists(same))
    return stale & ~Q(index__state=VisualIndex.State.RETIRED)


def cell(state: IndexingState | None) -> SafeString:
    """What the indexing column shows."""
    if state is None or not state.images:
        return format_html('<span class="quiet">{}</span>', _("no image"))
    kind = State.FAILED if state.failed else State.PENDING if state.pending else State.INDEXED
    waiting = ngettext("%(count)d image waits.", "%(count)d images wait.", state.pending) % {"count": state.pending}
    reasons = [*state.reasons, *([waiting] if state.pending and state.images > 1 else [])]
    return badge(kind, _words(state), "\n".join(reasons))


def _words(state: IndexingState) -> str:
    if state.indexed and state.images > 1:
        return _("indexed %(indexed)d/%(images)d") % {"indexed": state.indexed, "images": state.images}
    return str((State.INDEXED if state.indexed else State.FAILED if state.failed else State.PENDING).label)


def moment(time: datetime | None) -> str:
    """A time in the reader's zone and language, which wraps where the admin's own column would not."""
    return date_format(localtime(time) if is_aware(time) else time, "SHORT_DATETIME_FORMAT") if time else "-"


def calibration_in_words(index: VisualIndex) -> str:
    """Where the scores of a version come from."""
    found = calibration_in_use(index.calibration, index.fingerprint)
    if found == "own":
        pairs = (index.calibration or {}).get("fitted", {}).get("pairs")
        return _("fitted to %(pairs)d pairs of this shop") % {"pairs": pairs} if pairs else _("fitted to this shop")
    return _("calibration of the weights") if found == "bundled" else _("none: not calibrated")


def badge(kind: str, words: str, reason: str = "") -> SafeString:
    """An icon with the state in words; the reason shows when it is pointed at."""
    icon = format_html('<img src="{}" width="13" height="13" alt="">', static(ICONS[State(kind)]))
    if not reason:
        return format_html('<span class="nowrap">{} {}</span>', icon, words)
    return format_html('<span class="nowrap help-tooltip" title="{}">{} {}</span>', reason, icon, words)
