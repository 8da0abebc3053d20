"""What the filter panel shows: the choices of ProductFilter's form, and what is chosen now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _

from catalog.drawing.colour import PALETTE
from catalog.filters import ProductFilter

HIDDEN = ("page", "picture")  # names in the address that a new choice starts afresh


@dataclass(frozen=True)
class Option:
    """One value that can be chosen. ``swatch`` is the colour that it names, such as #f0e7d6, where that is known."""

    value: str
    label: str
    chosen: bool

    @property
    def swatch(self) -> str:
        colour = PALETTE.get(self.value)
        return "#{:02x}{:02x}{:02x}".format(*colour) if colour else ""


@dataclass(frozen=True)
class Chosen:
    """A filter in force, and the query string of the page without it."""

    label: str
    without: str


class FilterPanel:
    """ProductFilter's form as the templates need it. Each list of choices is one query."""

    def __init__(self, filterset: ProductFilter, query: QueryDict) -> None:
        self.form: forms.Form = filterset.form
        self.query = query
        self.categories = self._options("category")
        self.colours = self._options("colour")

    @property
    def errors(self) -> list[str]:
        """One sentence for each value that is not understood."""
        fields = self.form.fields
        return [f"{fields[name].label}: {errors[0]}" for name, errors in self.form.errors.items()]

    @property
    def chosen(self) -> list[Chosen]:
        return list(self._chosen())

    @property
    def category(self) -> Option | None:
        """The category shown, if it is just one."""
        chosen = [option for option in self.categories if option.chosen]
        return chosen[0] if len(chosen) == 1 else None

    @property
    def in_stock(self) -> bool:
        return self.query.get("in_stock") == "true"

    @property
    def price_min(self) -> str:
        return self.query.get("price_min", "")

    @property
    def price_max(self) -> str:
        return self.query.get("price_max", "")

    def _options(self, name: str) -> list[Option]:
        chosen = set(self.query.getlist(name))
        choices = ((str(value), str(label)) for value, label in self.form.fields[name].choices)  # type: ignore[attr-defined]
        return [Option(value, label, value in chosen) for value, label in choices if value]

    def _chosen(self) -> Iterator[Chosen]:
        for name, options in (("category", self.categories), ("colour", self.colours)):
            for option in options:
                if option.chosen:
                    yield Chosen(option.label, self._without(name, option.value))
        if self.price_min:
            yield Chosen(_("from €%(price)s") % {"price": self.price_min}, self._without("price_min"))
        if self.price_max:
            yield Chosen(_("up to €%(price)s") % {"price": self.price_max}, self._without("price_max"))
        if self.in_stock:
            yield Chosen(_("In stock"), self._without("in_stock"))

    def _without(self, name: str, value: str | None = None) -> str:
        left = self.query.copy()
        left.setlist(name, [kept for kept in left.getlist(name) if value is not None and kept != value])
        for hidden in HIDDEN:
            left.pop(hidden, None)
        return f"?{left.urlencode()}"
