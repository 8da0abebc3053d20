"""The fields of a product that results may be grouped by, counted by and guessed: those that its filters compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visualsearch.sources import ImageSource


def declared_fields(source: ImageSource) -> dict[str, str]:
    """Paths from the product by the names of the filters that compare them with a value.

    A shop declares a field by offering a filter on it. A filter with a method of its own, or with another comparison
    than equality (a price from or to), has no values to count.
    """
    if source.filterset is None:
        return {}
    filters: Mapping[str, Any] = source.filterset_class.base_filters
    return {
        name: made.field_name
        for name, made in filters.items()
        if made.field_name and made.method is None and made.lookup_expr == "exact" and not made.exclude
    }


def values_of(source: ImageSource, products: Sequence[Any], path: str) -> dict[Any, Any]:
    """The value of the field for each of these product keys, one query. Of several values (a product's tags) the
    smallest; products without one are left out, and a blank text is none: no filter can be asked for it."""
    found = source.product_model._default_manager.filter(pk__in=products, **{f"{path}__isnull": False})
    pairs = found.order_by("pk", path).values_list("pk", path)
    values: dict[Any, Any] = {}
    for pk, value in pairs:
        if value != "":
            values.setdefault(pk, value)
    return values
