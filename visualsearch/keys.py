"""Primary keys of the shop's models."""

from __future__ import annotations

from typing import Any

from django.db import models


def key_field(model: type[models.Model]) -> Any:
    """The field that holds the model's key: where that is a relation (a child table's link), the one it leads to."""
    field: Any = model._meta.pk
    while (target := getattr(field, "target_field", None)) is not None:
        field = target
    return field
