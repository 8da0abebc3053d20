"""Tags of the shop's own templates."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import Context

from catalog.filters import ProductFilter
from catalog.forms import FilterPanel

register = template.Library()


@register.simple_tag(takes_context=True)
def filter_panel(context: Context, filterset: ProductFilter) -> FilterPanel:
    """``{% filter_panel filter as panel %}``: the FilterPanel of a page that got its FilterSet from elsewhere."""
    request: Any = context["request"]
    return FilterPanel(filterset, request.GET)
