"""Tags of the shop's own templates."""

from __future__ import annotations

from django import template

from catalog.drawing.colour import PALETTE

register = template.Library()


@register.filter
def swatch(name: str) -> str:
    """``{{ "sand"|swatch }}``: the colour of this name, such as #f0e7d6; an empty string for what names none."""
    colour = PALETTE.get(name)
    return "#{:02x}{:02x}{:02x}".format(*colour) if colour else ""
