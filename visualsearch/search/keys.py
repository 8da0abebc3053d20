"""Primary keys as they stand in addresses and options."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from visualsearch.sources import ImageSource


def key_field(model: type[models.Model]) -> Any:
    """The field that holds the model's key: where that is a relation (a child table's link), the one it leads to."""
    field: Any = model._meta.pk
    while (target := getattr(field, "target_field", None)) is not None:
        field = target
    return field


def product_key(source: ImageSource, given: Any) -> Any:
    """The product's key that is given, as text or itself; None, which no product has, where it is not of its type."""
    try:
        return None if "\0" in str(given) else key_field(source.product_model).to_python(given)
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
