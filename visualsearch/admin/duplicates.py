"""Near-duplicates in the admin: groups with their pictures side by side, and what was dismissed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import router, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from visualsearch import duplicates
from visualsearch.admin.pictures import picture
from visualsearch.admin.queueing import in_words
from visualsearch.admin.reading import ReadOnlyAdmin
from visualsearch.duplicates import Group, Side
from visualsearch.exceptions import VisualSearchError
from visualsearch.models import DismissedPair, DuplicateSearch
from visualsearch.sources import ImageSource, all_sources

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList

logger = logging.getLogger(__name__)

PAGE = "visualsearch_duplicatepair"
GROUPS = 10  # of a page
PAIRS = 16  # of a group that the page of groups reads, for the products in them ...
PAIRS_SHOWN = 6  # ... and shows
MEMBERS = 12  # products of a group in its row of pictures
PAIRS_ALONE = 25  # of a page of one group
SIDE = 180  # pixels of a picture


@dataclass(frozen=True)
class Shown:
    """One product as the page shows it: ``page`` is its own in this admin, for those who may see it."""

    key: str
    name: str
    picture: SafeString
    page: str
    is_shown: bool


@dataclass(frozen=True)
class ShownPair:
    first: Shown
    second: Shown
    distance: float
    same_file: bool


@dataclass(frozen=True)
class ShownGroup:
    """A group with the nearest of its pairs, and products of theirs; ``more`` and ``others`` are the numbers of pairs
    and of products that are not among them."""

    group: Group
    pairs: list[ShownPair]
    members: list[Shown]

    @property
    def more(self) -> int:
        return self.group.count - len(self.pairs)

    @property
    def others(self) -> int:
        return self.group.products - len(self.members)


class DuplicatePairAdmin(ReadOnlyAdmin):
    """A page of groups instead of a list of rows. Dismissing and searching have permissions of their own."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name=f"{PAGE}_changelist"),
            path("<int:cluster>/", view(self.group_view), name=f"{PAGE}_group"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        source = self._source(request)
        if request.method == "POST":
            return self._act(request, source)
        found = duplicates.latest(source) if source else None
        page = _page(request, duplicates.groups_of(found), GROUPS) if found else None
        groups = self._groups(request, source, found, list(page), PAIRS) if source and found and page else []
        running = duplicates.under_way(source) if source else None
        context = {"page": page, "groups": groups, "running": running, "sources": all_sources()}
        return self._answer(request, source, found, {**context, **(extra_context or {})})

    def group_view(self, request: HttpRequest, cluster: int) -> HttpResponse:
        """All pairs of one group, nearest first."""
        source = self._source(request)
        found = duplicates.latest(source) if source else None
        rows = list(duplicates.groups_of(found).filter(cluster=cluster)) if found else []
        if not (source and found and rows):
            messages.warning(request, _("This group is not listed any more."))
            return HttpResponseRedirect(reverse(f"admin:{PAGE}_changelist", current_app=self.admin_site.name))
        page = _page(request, range(rows[0]["count"]), PAIRS_ALONE)
        (group,) = self._groups(request, source, found, rows, PAIRS_ALONE, skip=max(0, page.start_index() - 1))
        return self._answer(request, source, found, {"page": page, "groups": [group], "alone": True})

    def _source(self, request: HttpRequest) -> ImageSource | None:
        """That of the address, or the first. None where nothing is registered. Raises PermissionDenied."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        sources = all_sources()
        wanted = (request.POST if request.method == "POST" else request.GET).get("source")
        return next((one for one in sources if one.name == wanted), sources[0] if sources else None)

    def _groups(
        self,
        request: HttpRequest,
        source: ImageSource,
        found: DuplicateSearch,
        rows: Sequence[dict[str, Any]],
        pairs: int,
        skip: int = 0,
    ) -> list[ShownGroup]:
        groups = duplicates.loaded(source, found, rows, pairs, skip)
        sides = {side.key: side for group in groups for side in group.sides}
        known = {key: self._side(request, source, side) for key, side in sides.items()}
        shown = []
        for group in groups:
            two = [
                ShownPair(known[pair.first.key], known[pair.second.key], pair.distance, pair.same_file)
                for pair in (group.pairs[:PAIRS_SHOWN] if pairs == PAIRS else group.pairs)
            ]
            shown.append(ShownGroup(group, two, [known[side.key] for side in group.sides][:MEMBERS]))
        return shown

    def _side(self, request: HttpRequest, source: ImageSource, side: Side) -> Shown:
        name = str(side.product)
        small = picture(source.file_of(side.image), SIDE, alt=name)
        return Shown(side.key, name, small, self._page_of(request, side.product), side.is_shown)

    def _page_of(self, request: HttpRequest, product: Any) -> str:
        model, site = type(product), self.admin_site
        if not site.is_registered(model) or not site.get_model_admin(model).has_view_permission(request):
            return ""
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        try:
            return reverse(name, args=[quote(product.pk)], current_app=site.name)
        except NoReverseMatch:  # an admin with addresses of its own
            return ""

    def _answer(
        self, request: HttpRequest, source: ImageSource | None, found: DuplicateSearch | None, more: dict[str, Any]
    ) -> HttpResponse:
        may = {one: request.user.has_perm(f"visualsearch.{one}_duplicatepair") for one in ("dismiss", "search")}
        context = {
            **self.admin_site.each_context(request),
            "title": _("Near-duplicates"),
            "opts": self.opts,
            "source": source,
            "found": found,
            "may": may,
            **more,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/visualsearch/duplicates.html", context)

    def _act(self, request: HttpRequest, source: ImageSource | None) -> HttpResponse:
        """Does what a button says, and shows the page again where it was pressed."""
        actions = {"dismiss": self._dismiss_pair, "dismiss_group": self._dismiss_group, "search": self._search}
        action = actions.get(request.POST.get("action", ""))
        if action is None or source is None or "\0" in "".join(map(str, request.POST.values())):
            return HttpResponseBadRequest()
        permission = "search" if action == self._search else "dismiss"
        if not request.user.has_perm(f"visualsearch.{permission}_duplicatepair"):
            raise PermissionDenied
        action(request, source)
        wanted = {"source": source.name, "p": str(_number(request.POST.get("p")))}
        address = reverse(f"admin:{PAGE}_changelist", current_app=self.admin_site.name)
        if "alone" in request.POST and (cluster := self._what_is_left(request, source)):
            address = reverse(f"admin:{PAGE}_group", args=[cluster], current_app=self.admin_site.name)
        return HttpResponseRedirect(f"{address}?{urlencode(wanted)}")

    def _what_is_left(self, request: HttpRequest, source: ImageSource) -> int | None:
        """The group that the products of the pair belong to now."""
        found, pair = duplicates.latest(source), [request.POST.get("first", ""), request.POST.get("second", "")]
        if found is None:
            return None
        own = duplicates.shown(found).filter(Q(first__in=pair) | Q(second__in=pair)).order_by("cluster")
        return own.values_list("cluster", flat=True).first()

    def _dismiss_pair(self, request: HttpRequest, source: ImageSource) -> None:
        pair = (request.POST.get("first", ""), request.POST.get("second", ""))
        found = duplicates.latest(source)
        listed = found is not None and duplicates.shown(found).filter(first=min(pair), second=max(pair)).exists()
        self._dismiss(request, source, [pair] if listed else [])

    def _dismiss_group(self, request: HttpRequest, source: ImageSource) -> None:
        found = duplicates.latest(source)
        self._dismiss(request, source, duplicates.members(found, _number(request.POST.get("cluster"))) if found else [])

    def _dismiss(self, request: HttpRequest, source: ImageSource, pairs: Iterable[tuple[str, str]]) -> None:
        with transaction.atomic(using=router.db_for_write(DismissedPair)):
            made = duplicates.dismiss(source, pairs)
            if made:
                _log(request, made, _("Dismissed: these products may look alike."))
        if not made:
            messages.warning(request, _("This pair is not listed any more."))
            return
        said = ngettext("%(count)d pair is dismissed.", "%(count)d pairs are dismissed.", len(made))
        messages.success(request, said % {"count": len(made)})

    def _search(self, request: HttpRequest, source: ImageSource) -> None:
        if duplicates.under_way(source):
            messages.warning(request, _("A search is under way already."))
            return
        try:
            with transaction.atomic(using=router.db_for_write(DuplicateSearch)):
                found = duplicates.queue_search(source)
                said = _("Near-duplicates are searched for.")
                _log(request, [found], said)
        except VisualSearchError as refusal:
            messages.error(request, str(refusal))
        except Exception as error:  # any queue library's own errors, or a server that does not answer
            logger.warning("A search for near-duplicates could not be queued: %s", error, exc_info=True)
            messages.error(request, _("It could not be done: %(reason)s") % {"reason": in_words(error)})
        else:
            messages.success(request, _("The worker searches; look again in a minute."))


class DismissedPairAdmin(ReadOnlyAdmin):
    """What was dismissed. Deleting a line shows the pair again."""

    list_display = ["pair", "source", "dismissed_at"]
    list_display_links = None
    list_filter = ["source"]
    search_fields = ["=first", "=second"]
    search_help_text = gettext_lazy("Primary key of a product")
    list_per_page = 50

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("visualsearch.delete_dismissedpair")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return type("ChangeListWithProducts", (_WithProducts, super().get_changelist(request, **kwargs)), {})

    @admin.display(description=gettext_lazy("products"))
    def pair(self, dismissed: Any) -> str:
        return str(getattr(dismissed, "named", dismissed))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._take_back(request, DismissedPair.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        self._take_back(request, queryset)

    def _take_back(self, request: HttpRequest, queryset: Any) -> None:
        names = set(queryset.order_by().values_list("source", flat=True))
        with transaction.atomic(using=router.db_for_write(DismissedPair)):
            queryset.delete()
            for source in all_sources():
                if source.name in names and (found := duplicates.latest(source)):
                    duplicates.regroup(found)


class _WithProducts:
    """A ChangeList that names the products of its page: one query for each source."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)  # type: ignore[misc]
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]
        for source in all_sources():
            own = [row for row in rows if row.source == source.name]
            names = duplicates.names(source, {key for row in own for key in (row.first, row.second)})
            for row in own:
                row.named = " = ".join(f"{names.get(key, '?')} ({key})" for key in (row.first, row.second))
        self.result_list = rows


def _log(request: HttpRequest, objects: Sequence[Any], said: str) -> None:
    """Into the admin's history."""
    user: Any = request.user
    LogEntry.objects.log_actions(user.pk, objects, ADDITION, said)


def _page(request: HttpRequest, items: Any, size: int) -> Page[Any]:
    return Paginator(items, size).get_page(request.GET.get("p"))


def _number(given: str | None) -> int:
    """Of a page or a group; 0 for anything else."""
    return int(given) if given and given.isdecimal() and len(given) < 19 else 0
