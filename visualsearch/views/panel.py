"""The shop's filters as a form: what can be chosen, what is chosen, and how many there are of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict

from visualsearch.search.results import Count, Guess
from visualsearch.sources import ImageSource
from visualsearch.views.asking import filters_of

AGREED = 0.5  # share of the neighbours
Facets = Mapping[str, Sequence[Count]]


@dataclass(frozen=True)
class Choice:
    """``count``: how many of the products most alike have this value; None where it was not counted."""

    value: str
    label: str
    chosen: bool
    count: int | None


@dataclass(frozen=True)
class Filter:
    """One field. ``kind``: "many" or "one" of ``choices``, a "switch", a "text", or "other", which is for
    ``{{ filter.bound }}`` to show."""

    name: str
    label: str
    kind: str
    value: str
    choices: Sequence[Choice]
    errors: Sequence[str]
    bound: Any

    @property
    def numeric(self) -> bool:
        return isinstance(self.bound.field, forms.DecimalField | forms.IntegerField)


def panel(source: ImageSource, given: QueryDict, facets: Facets | None) -> list[Filter]:
    """The filters of the source's FilterSet, in its order. One query for each that takes its choices from a table."""
    if source.filterset is None:
        return []
    wanted = filters_of(source, given)
    empty = source.product_model._default_manager.none()
    form: forms.Form = source.filterset_class(data=wanted or None, queryset=empty).form
    return [_filter(bound, wanted, (facets or {}).get(bound.name)) for bound in form]


def _filter(bound: forms.BoundField, wanted: QueryDict, counts: Sequence[Count] | None) -> Filter:
    kind = _kind(bound.field)
    chosen = wanted.getlist(bound.name)
    return Filter(
        name=bound.html_name,
        label=str(bound.label),
        kind=kind,
        value=chosen[0] if chosen else "",
        choices=list(_choices(bound.field, set(chosen), counts)) if kind in ("one", "many") else (),
        errors=[str(error) for error in bound.errors],
        bound=bound,
    )


def _kind(field: forms.Field) -> str:
    if isinstance(field, forms.NullBooleanField | forms.BooleanField):
        return "switch"
    if isinstance(field, forms.MultipleChoiceField | forms.ModelMultipleChoiceField):
        return "many"
    if isinstance(field, forms.ChoiceField | forms.ModelChoiceField):
        return "one"
    return "text" if type(field.widget) in (forms.TextInput, forms.NumberInput) else "other"


def _choices(field: Any, chosen: set[str], counts: Sequence[Count] | None) -> Iterator[Choice]:
    """Those that can be chosen; where it was counted, only those that are found at all, the commonest first."""
    counted = None if counts is None else {str(count.value): count.count for count in counts}
    options = [(str(value), str(label)) for value, label in field.choices if str(value)]
    if counted is not None and options:
        options = sorted((one for one in options if one[0] in counted), key=lambda one: -counted[one[0]])
    for value, label in options:
        yield Choice(value, label, value in chosen, counted[value] if counted is not None else None)


def label_of(source: ImageSource, guesses: Mapping[str, Guess | None]) -> str:
    """What a thing is called by its guesses: the first that most of its neighbours agree on, as its filter says it."""
    for name, guess in guesses.items():
        if guess and guess.share >= AGREED:
            field = source.filterset_class.base_filters[name].field
            labels = {str(value): str(label) for value, label in getattr(field, "choices", ())}
            return labels.get(str(guess.value), str(guess.value))
    return ""
