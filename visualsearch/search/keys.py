"""Primary keys as they stand in addresses and options."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from visualsearch.keys import key_field
from visualsearch.sources import ImageSource


def product_key(source: ImageSource, given: Any) -> Any:
    """The product's key that is given, as text or itself; None, which no product has, where it is not of its type."""
    try:
        return None if "\0" in str(given) else key_field(source.product_model).to_python(given)
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
