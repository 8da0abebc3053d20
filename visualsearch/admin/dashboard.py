"""The dashboard: how each source is, and what its staff may set going."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from visualsearch.admin.operations import OPERATIONS, Operation, Situation
from visualsearch.admin.queueing import in_words
from visualsearch.admin.reading import ReadOnlyAdmin
from visualsearch.admin.states import calibration_in_words
from visualsearch.exceptions import SourceNotRegistered, VisualSearchError
from visualsearch.lifecycle import Listed
from visualsearch.models import ImageEmbedding, IndexedSource, VisualIndex
from visualsearch.sources import ImageSource, all_sources, get_source
from visualsearch.status import SourceStatus, status_of

logger = logging.getLogger(__name__)

PAGE = "visualsearch_indexedsource"
ONE_UNIT = 90  # seconds up to which a time is told in seconds


@dataclass(frozen=True)
class Failure:
    """Images that failed for one reason, and the page that lists them, for those who may see it."""

    code: str
    count: int
    page: str


@dataclass(frozen=True)
class Button:
    name: str
    label: Any
    page: str
    leading: bool


@dataclass(frozen=True)
class VersionRow:
    """A version in a table: ``left`` says how long its images still take, ``scores`` where its scores come from."""

    found: Listed
    state: str
    left: str
    scores: str


@dataclass(frozen=True)
class Card:
    """One source on the dashboard."""

    status: SourceStatus
    left: str
    worker: str
    failures: list[Failure]
    versions: list[VersionRow]
    buttons: list[Button]
    history: str


class IndexedSourceAdmin(ReadOnlyAdmin):
    """Read-only with ``visualsearch.view_indexedsource``; each operation has a permission of its own besides, such as
    ``visualsearch.activate_indexedsource``."""

    fields = readonly_fields = ("name", "paused_at", "worker_seen_at")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or any(_may(request, one) for one in OPERATIONS)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        own = []
        for operation in OPERATIONS:
            view = self.admin_site.admin_view(partial(self.operate, operation=operation))
            # Database indexes are made and dropped outside of transactions.
            view = transaction.non_atomic_requests(view)
            own.append(path(f"<str:name>/{operation.name}/", view, name=f"{PAGE}_{operation.name}"))
        return [*own, *super().get_urls()]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """A source that nothing was kept of yet has its page, too."""
        if any(source.name == object_id for source in all_sources()):
            IndexedSource.objects.get_or_create(pk=object_id)
        return super().get_object(request, object_id, from_field)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("Visual search"),
            "opts": self.opts,
            "cards": [self._card(request, source) for source in all_sources()],
            "pages": self._pages(request),
            "now": timezone.now(),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/visualsearch/dashboard.html", context)

    def _card(self, request: HttpRequest, source: ImageSource) -> Card:
        status = status_of(source)
        situation = Situation.of(source, status)
        kept = {index.pk: index for index in VisualIndex.objects.of(source)}
        return Card(
            status=status,
            left=_left(status.rate, status.eta_s),
            worker=_ago(status.worker_seen_at) if status.worker_seen_at else "",
            failures=[
                Failure(code, count, self._failed_page(request, status, code))
                for code, count in status.failed_by_code.items()
            ],
            versions=[
                VersionRow(
                    found,
                    str(VisualIndex.State(found.state).label),
                    _left(found.rate, found.eta_s),
                    calibration_in_words(kept[found.version]),
                )
                for found in situation.versions
                if found.version in kept
            ],
            buttons=[
                Button(one.name, one.label, self._address(one.name, source.name), one.leading)
                for one in OPERATIONS
                if _may(request, one) and one.makes_sense(situation)
            ],
            history=self._address("history", quote(source.name)),
        )

    def _address(self, name: str, *arguments: str) -> str:
        return reverse(f"admin:{PAGE}_{name}", args=arguments, current_app=self.admin_site.name)

    def _pages(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Names and addresses of the other pages, for those who may see them."""
        pages = []
        for model, admin in self.admin_site._registry.items():
            about = model._meta
            if (
                about.app_label == self.opts.app_label
                and model is not self.model
                and admin.has_view_permission(request)
            ):
                name = f"admin:{about.app_label}_{about.model_name}_changelist"
                pages.append((str(about.verbose_name_plural), reverse(name, current_app=self.admin_site.name)))
        return pages

    def _failed_page(self, request: HttpRequest, status: SourceStatus, code: str) -> str:
        rows = self.admin_site._registry.get(ImageEmbedding)
        if rows is None or not rows.has_view_permission(request):
            return ""
        try:
            page = reverse("admin:visualsearch_imageembedding_changelist", current_app=self.admin_site.name)
        except NoReverseMatch:
            return ""
        query: dict[str, Any] = {"state": "failed", "code": code, "index__id__exact": status.version}
        return f"{page}?{urlencode(query)}"

    def operate(self, request: HttpRequest, name: str, *, operation: Operation) -> HttpResponse:
        """Asks (GET) and does it (POST). 403 without the permission."""
        if not _may(request, operation):
            raise PermissionDenied
        try:
            source = get_source(name)
        except SourceNotRegistered as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self._address("changelist"))
        form = operation.form(source, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            self._perform(request, source, operation, form.cleaned_data)
            return HttpResponseRedirect(self._address("changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": operation.label,
            "subtitle": source.name,
            "opts": self.opts,
            "operation": operation,
            "source": source,
            "form": form,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/visualsearch/operation.html", context)

    def _perform(self, request: HttpRequest, source: ImageSource, operation: Operation, given: dict[str, Any]) -> None:
        try:
            said = operation.perform(source, given)
        except VisualSearchError as refusal:
            messages.error(request, f"{source.name}: {refusal}")
        except Exception as error:  # any queue library's own errors, or a server that does not answer
            logger.warning("%s of %s failed in the admin: %s", operation.name, source.name, error, exc_info=True)
            messages.error(request, _("It could not be done: %(reason)s") % {"reason": in_words(error)})
        else:
            kept, _new = IndexedSource.objects.get_or_create(pk=source.name)
            self.log_change(request, kept, f"{operation.label}: {said}")
            messages.success(request, f"{source.name}: {said}")


def _may(request: HttpRequest, operation: Operation) -> bool:
    return request.user.has_perm(f"visualsearch.{operation.permission}_indexedsource")


def _ago(time: datetime) -> str:
    """How long ago that was, without the word."""
    seconds = max(0, round((timezone.now() - time).total_seconds()))
    return _seconds(seconds) if seconds < ONE_UNIT else timesince(time)


def _seconds(seconds: int) -> str:
    return ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds}


def _left(rate: float | None, seconds: int | None) -> str:
    """Rate and time left in words; nothing where neither is known."""
    if not rate or seconds is None:
        return ""
    now = timezone.now()
    # timesince counts whole minutes at least, and names two units.
    left = _seconds(seconds) if seconds < ONE_UNIT else timesince(now - timedelta(seconds=seconds), now, depth=1)
    return _("%(rate)s images/s, %(time)s left") % {"rate": f"{rate:g}", "time": left}
