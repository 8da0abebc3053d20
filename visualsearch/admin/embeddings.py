"""Rows of the index in the admin: to read, and to try again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model, Q, QuerySet
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from visualsearch.admin.pictures import LIST_SIDE, PAGE_SIDE, no_picture, picture
from visualsearch.admin.queueing import queue
from visualsearch.admin.reading import ReadOnlyAdmin
from visualsearch.admin.states import badge, is_stale, moment
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.sources import ImageSource, all_sources

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList

State = ImageEmbedding.State
REASON_LENGTH = 80


@dataclass(frozen=True)
class Shown:
    """What a row stands for: its image, the file, and the address of the image's page; or why it is missing."""

    image: Model | None = None
    file: FieldFile | None = None
    page: str = ""
    missing: Any = ""


class StateFilter(admin.SimpleListFilter):
    """By state, where a row that speaks of another file than the image's present one counts as pending."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        wanted = self.value()
        if wanted not in State.values:
            return None
        if wanted == State.PENDING:
            return queryset.filter(Q(state=State.PENDING) | is_stale())
        return queryset.filter(~is_stale(), state=wanted)


class CodeFilter(admin.SimpleListFilter):
    """By the code of a refusal, of those that occur."""

    title = _("code")
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        codes = ImageEmbedding.objects.exclude(code="").order_by("code").values_list("code", flat=True).distinct()
        return [(code, code.replace("_", " ")) for code in codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        return queryset.filter(code=self.value()) if self.value() else None


class ImageEmbeddingAdmin(ReadOnlyAdmin):
    """Read-only. "Retry selected" is offered with the permission ``visualsearch.change_imageembedding``."""

    list_display = [
        "thumbnail",
        "image",
        "source",
        "version",
        "present_state",
        "short_reason",
        "attempts",
        "indexed",
    ]
    list_display_links = ["thumbnail", "present_state"]
    list_filter = [StateFilter, CodeFilter, ("index__source", admin.AllValuesFieldListFilter), "index"]
    search_fields = ["object_id__exact"]
    search_help_text = _("Primary key of an image")
    ordering = ["-pk"]
    list_per_page = 50
    show_full_result_count = False  # a second count over all rows
    actions = ["retry_selected"]
    fields = (
        "large_thumbnail",
        "image",
        "source",
        "version",
        "present_state",
        "code",
        "reason",
        "attempts",
        "indexed_at",
        "file",
        "content_hash",
    )
    readonly_fields = fields

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("visualsearch.change_imageembedding")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImageEmbedding]:
        return super().get_queryset(request).defer("vector").select_related("index")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return type("ChangeListWithImages", (_WithImages, super().get_changelist(request, **kwargs)), {})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.find_images(request, [row])
        return row

    def find_images(self, request: HttpRequest, page: Iterable[Any]) -> None:
        """Notes on each row what it stands for: one query for each source."""
        rows = list(page)
        for row in rows:
            row.shown = Shown(missing=_("No source of this name is registered."))
        for source in all_sources():
            own = [row for row in rows if row.index.source == source.name]
            images = source.loaded(row.object_id for row in own) if own else {}
            for row in own:
                row.shown = self._shown(request, source, images.get(row.object_id))

    def _shown(self, request: HttpRequest, source: ImageSource, image: Model | None) -> Shown:
        if image is None:
            return Shown(missing=_("The image is gone; a retry removes this row."))
        return Shown(image, source.file_of(image), self._page_of(request, source, image))

    def _page_of(self, request: HttpRequest, source: ImageSource, image: Model) -> str:
        """The image's own page in this admin, or its product's, for those who may see it; "" where there is none."""
        for model, pk in ((source.model, image.pk), (source.product_model, source.product_pk_of(image))):
            site = self.admin_site
            if site.is_registered(model) and site.get_model_admin(model).has_view_permission(request):
                name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
                return reverse(name, args=[quote(pk)], current_app=site.name)
        return ""

    @admin.action(description=_("Retry selected images"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[ImageEmbedding]) -> None:
        known = {source.name for source in all_sources()}
        wanted: dict[str, dict[str, None]] = {}  # an image has a row in each version; it is queued once
        for source, pk in queryset.order_by("pk").values_list("index__source", "object_id"):
            if source in known:
                wanted.setdefault(source, {})[pk] = None
        queue(request, wanted)

    @admin.display(description=_("picture"))
    def thumbnail(self, row: Any) -> SafeString:
        if row.state == State.FAILED:  # the file was refused: trying each such file again would make a slow page
            return no_picture(row.reason)
        return _picture(row, LIST_SIDE)

    @admin.display(description=_("picture"))
    def large_thumbnail(self, row: Any) -> SafeString:
        return _picture(row, PAGE_SIDE)

    @admin.display(description=_("image"), ordering="object_id")
    def image(self, row: Any) -> str:
        return format_html('<a href="{}">{}</a>', row.shown.page, _name(row)) if row.shown.page else _name(row)

    @admin.display(description=_("source"), ordering="index__source")
    def source(self, row: Any) -> str:
        return str(row.index.source)

    @admin.display(description=_("version"), ordering="index_id")
    def version(self, row: Any) -> str:
        return f"{row.index_id} ({row.index.get_state_display()})"

    @admin.display(description=_("state"), ordering="state")
    def present_state(self, row: Any) -> SafeString:
        state, why = _present_state(row)
        return badge(state, str(State(state).label), why)

    @admin.display(description=_("indexed"), ordering="indexed_at")
    def indexed(self, row: ImageEmbedding) -> str:
        return moment(row.indexed_at)

    @admin.display(description=_("reason"), ordering="code")
    def short_reason(self, row: Any) -> SafeString | str:
        if not row.code:
            return ""
        short = Truncator(row.reason).chars(REASON_LENGTH)
        return format_html('<span title="{}">{}</span> <code>{}</code>', row.reason, short, row.code)


class _WithImages:
    """A ChangeList that finds the images of its page at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)  # type: ignore[misc]
        self.model_admin.find_images(request, self.result_list)  # type: ignore[attr-defined]


def _name(row: Any) -> str:
    return str(row.object_id) if row.shown.image is None else f"{row.shown.image} ({row.object_id})"


def _picture(row: Any, side: int) -> SafeString:
    shown: Shown = row.shown
    return no_picture(str(shown.missing)) if shown.image is None else picture(shown.file, side, alt=_name(row))


def _present_state(row: Any) -> tuple[str, str]:
    """The row's state, and why: what a live version's row says of another file counts for nothing."""
    shown: Shown = row.shown
    if row.index.state == VisualIndex.State.RETIRED or row.state == State.PENDING:
        return row.state, row.reason
    if shown.file is None:
        return State.PENDING, str(shown.missing)
    return (row.state, row.reason) if shown.file.name == row.file else (State.PENDING, gettext("It has a new file."))
