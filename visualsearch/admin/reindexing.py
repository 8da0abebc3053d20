"""``ReindexMixin``: visual search in the shop's own admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.core.checks import CheckMessage, Error
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from visualsearch.admin.queueing import queue
from visualsearch.admin.states import IndexingState, cell, states_of
from visualsearch.exceptions import InvalidSource, SourceNotRegistered
from visualsearch.sources import ImageSource, all_sources, get_source

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList

    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = object

COLUMN = "visual_search_state"


class ReindexMixin(ModelAdmin):
    """Gives the admin of an image model or of a product model a column and an action.

    The column ``visual_search_state`` says how far the images are indexed in the active version; it costs one query a
    page. It stands last in the list, or where ``list_display`` names it; ``readonly_fields`` may name it too.

    The action "Reindex selected images" queues the selected images, or all images of the selected products, to be
    embedded again even if their file has not changed. It is offered to those who may change the model: saving an image
    there has it indexed anyway, so no right of its own is needed.

    Use it as ``class ProductAdmin(ReindexMixin, admin.ModelAdmin)``. Where several sources show the model,
    ``visualsearch_source`` names one of them.
    """

    visualsearch_source: str | None = None

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        messages = list(super().check(**kwargs))
        try:
            self.get_image_source()
        except SourceNotRegistered as error:
            hint = "Register the model's images with visualsearch.register(), or set visualsearch_source."
            messages.append(Error(str(error), hint=hint, obj=type(self), id="visualsearch.E040"))
        return messages

    def get_image_source(self) -> ImageSource:
        """The source that this admin's model belongs to. Raises SourceNotRegistered if there is none, or several."""
        if self.visualsearch_source is not None:
            return get_source(self.visualsearch_source)
        fitting = [source for source in all_sources() if _shows(source, self.model)]
        if len(fitting) == 1:
            return fitting[0]
        names = ", ".join(sorted(source.name for source in fitting))
        raise SourceNotRegistered(
            f"Several sources show {self.model.__name__}: set visualsearch_source to one of {names}."
            if fitting
            else f"No source shows {self.model.__name__}, so there is nothing to index."
        )

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return columns if COLUMN in columns else [*columns, COLUMN]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        if self.actions is None or IS_POPUP_VAR in request.GET or not self.has_change_permission(request):
            return actions
        action = self.get_action("reindex_selected")
        return {**actions, "reindex_selected": action} if action else actions

    @admin.action(description=_("Reindex selected images"), permissions=["change"])
    def reindex_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        source = self.get_image_source()
        selected = queryset.order_by().values("pk")
        images = source.with_file().filter(**{f"{_owner(source, self.model)}__in": selected})
        queue(request, {source.name: list(images.order_by("pk").values_list("pk", flat=True))})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return type("ChangeListWithStates", (_WithStates, super().get_changelist(request, **kwargs)), {})

    def remember_states(self, page: Iterable[Model]) -> None:
        """Notes on each object how far it is indexed."""
        objects = list(page)
        source = self.get_image_source()
        states = states_of(source, _owner(source, self.model), [item.pk for item in objects])
        for item in objects:
            item._visualsearch_state = states.get(item.pk, IndexingState())  # type: ignore[attr-defined]

    @admin.display(description=_("visual search"))
    def visual_search_state(self, item: Model) -> SafeString:
        if item.pk is not None and not hasattr(item, "_visualsearch_state"):
            self.remember_states([item])
        return cell(getattr(item, "_visualsearch_state", None))


class _WithStates:
    """A ChangeList that asks for the states of its page at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)  # type: ignore[misc]
        if COLUMN in self.list_display:  # type: ignore[attr-defined]
            self.model_admin.remember_states(self.result_list)  # type: ignore[attr-defined]


def _shows(source: ImageSource, model: type[Model]) -> bool:
    try:
        return issubclass(model, (source.model, source.product_model))
    except InvalidSource:  # a check of its own says so
        return issubclass(model, source.model)


def _owner(source: ImageSource, model: type[Model]) -> str:
    """The path from an image to the object of this model that it belongs to."""
    return "pk" if issubclass(model, source.model) else f"{source.product_field}__pk"
