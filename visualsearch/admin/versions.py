"""Index versions in the admin: to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Case, CharField, Count, Value, When
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from visualsearch.admin.reading import ReadOnlyAdmin
from visualsearch.admin.states import calibration_in_words, is_stale
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.sources import all_sources
from visualsearch.stores import get_store

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList

State = ImageEmbedding.State
FINGERPRINT_LENGTH = 12


@dataclass(frozen=True)
class Counts:
    """Images of one version by state."""

    indexed: int = 0
    pending: int = 0
    failed: int = 0


class VisualIndexAdmin(ReadOnlyAdmin):
    """Read-only. A live version's counts are of its source's images as they are now, a retired one's of its rows."""

    list_display = [
        "version",
        "source",
        "state",
        "encoder_and_fingerprint",
        "dimensions",
        "indexed",
        "pending",
        "failed",
        "has_hnsw_index",
        "scores",
    ]
    list_filter = ["source", "state"]
    list_per_page = 20  # each version asks the store whether it is prepared
    ordering = ["source", "-pk"]
    sortable_by = ()
    fields = (
        "source",
        "state",
        "encoder",
        "fingerprint",
        "dimensions",
        "metric",
        "indexed",
        "pending",
        "failed",
        "has_hnsw_index",
        "scores",
        "created_at",
        "activated_at",
    )
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return type("ChangeListWithCounts", (_WithCounts, super().get_changelist(request, **kwargs)), {})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        index = super().get_object(request, object_id, from_field)
        if index is not None:
            count_images([index])
        return index

    @admin.display(description=_("version"), ordering="pk")
    def version(self, index: VisualIndex) -> int:
        return index.pk

    @admin.display(description=_("encoder"), ordering="encoder")
    def encoder_and_fingerprint(self, index: VisualIndex) -> SafeString:
        short = index.fingerprint[:FINGERPRINT_LENGTH]
        return format_html('{}<br><code title="{}">{}</code>', index.encoder, index.fingerprint, short)

    @admin.display(description=_("indexed"))
    def indexed(self, index: Any) -> int:
        return int(index.counts.indexed)

    @admin.display(description=_("pending"))
    def pending(self, index: Any) -> int:
        return int(index.counts.pending)

    @admin.display(description=_("failed"))
    def failed(self, index: Any) -> int:
        return int(index.counts.failed)

    @admin.display(description=_("HNSW index"), boolean=True)
    def has_hnsw_index(self, index: VisualIndex) -> bool:
        return get_store().is_prepared(index)

    @admin.display(description=_("scores"))
    def scores(self, index: VisualIndex) -> str:
        return calibration_in_words(index)


class _WithCounts:
    """A ChangeList that counts the images of its page's versions at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)  # type: ignore[misc]
        count_images(self.result_list)  # type: ignore[attr-defined]


def count_images(page: Iterable[Any]) -> None:
    """Notes on each version its ``counts``: one query for all rows, and one for each source with a live version."""
    indexes = list(page)
    by_state: dict[int, dict[str, int]] = {index.pk: {} for index in indexes}
    states = Case(When(is_stale(), then=Value(State.PENDING)), default="state", output_field=CharField())
    found = ImageEmbedding.objects.filter(index_id__in=by_state).annotate(present=states).values("index_id", "present")
    for index_id, state, count in found.annotate(count=Count("pk")).values_list("index_id", "present", "count"):
        by_state[index_id][state] = count
    live = {index.source for index in indexes if index.state != VisualIndex.State.RETIRED}
    images = {source.name: source.with_file().count() for source in all_sources() if source.name in live}
    for index in indexes:
        index.counts = Counts(**by_state[index.pk])
        if index.source in images and index.state != VisualIndex.State.RETIRED:
            index.counts = of_images(index.counts, images[index.source])


def of_images(rows: Counts, images: int) -> Counts:
    """A live version's counts: images that have no row yet are pending, too, and rows without an image are nothing."""
    return replace(rows, pending=max(0, images - rows.indexed - rows.failed))
