"""What staff are asked before something is done. Each form is made for a source as it is at that moment."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from visualsearch import lifecycle
from visualsearch.encoders import configured
from visualsearch.models import VisualIndex, active_index
from visualsearch.sources import ImageSource
from visualsearch.stores import Condition, get_store

MISSING, ALL = "missing", "all"

State = VisualIndex.State


class OperationForm(forms.Form):
    """Nothing is asked but whether."""

    required_css_class = "required"

    def __init__(self, source: ImageSource, given: Any = None) -> None:
        super().__init__(given)
        self.prepare(source)

    def prepare(self, source: ImageSource) -> None:
        """Fills in what can be chosen now."""


class ReindexForm(OperationForm):
    scope = forms.ChoiceField(
        label=gettext_lazy("Images"),
        choices=[
            (MISSING, gettext_lazy("those that are pending")),
            (ALL, gettext_lazy("all, embedded again even where the file has not changed")),
        ],
        widget=forms.RadioSelect,
        initial=MISSING,
    )


class BuildForm(OperationForm):
    encoder = forms.ChoiceField(
        label=gettext_lazy("Encoder"), help_text=gettext_lazy("Of those that the settings name.")
    )
    rate = forms.FloatField(
        label=gettext_lazy("Images a second at most"),
        required=False,
        min_value=0.1,
        help_text=gettext_lazy("Leaves the machine time for the shop. Empty: as fast as it goes."),
    )

    def prepare(self, source: ImageSource) -> None:
        self.fields["encoder"].choices = [(name, name) for name in configured()]  # type: ignore[attr-defined]
        self.initial["encoder"] = lifecycle.encoder_name(source)


class SwitchForm(OperationForm):
    """Knows which version was in use when the question was shown."""

    active = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def prepare(self, source: ImageSource) -> None:
        active = active_index(source)
        self.initial["active"] = active.pk if active else None


class ActivateForm(SwitchForm):
    version = forms.TypedChoiceField(label=gettext_lazy("Version"), coerce=int)

    def prepare(self, source: ImageSource) -> None:
        """Versions that are built: making a database index takes longer than anybody waits for a page."""
        super().prepare(source)
        versions = VisualIndex.objects.of(source).filter(state__in=[State.BUILDING, State.ACTIVE]).order_by("-pk")
        built = [version for version in versions if get_store().condition(version) is Condition.READY]
        # The one in use can be sent, by whoever was the second to press, but not be chosen.
        offered = [version for version in built if self.is_bound or version.state == State.BUILDING]
        self.fields["version"].choices = [(version.pk, _named(version)) for version in offered]  # type: ignore[attr-defined]


class PruneForm(OperationForm):
    version = forms.TypedChoiceField(label=gettext_lazy("Version"), coerce=int, empty_value=None, required=False)

    def prepare(self, source: ImageSource) -> None:
        versions = VisualIndex.objects.of(source).exclude(state=State.ACTIVE).order_by("-pk")
        unused = ("", _("all retired ones but the last, which you can roll back to"))
        self.fields["version"].choices = [unused, *((version.pk, _named(version)) for version in versions)]  # type: ignore[attr-defined]


def _named(version: VisualIndex) -> str:
    return f"{version.pk}: {version.encoder}, {version.get_state_display()}"
