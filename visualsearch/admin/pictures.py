"""Small pictures in the admin."""

from __future__ import annotations

from django.db.models.fields.files import FieldFile
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from visualsearch.thumbnails import thumbnail

LIST_SIDE = 60  # pixels
PAGE_SIDE = 300


def picture(file: FieldFile | None, side: int = LIST_SIDE, alt: str = "") -> SafeString:
    """The file as an ``<img>`` of at most ``side`` by ``side`` pixels; a dash, with the reason, where there is none."""
    if not file:
        return no_picture(_("There is no file."))
    try:
        small = thumbnail(file, side)
    except Exception as error:  # the function may be the shop's own, and one file must not cost the page
        return no_picture(str(error) or type(error).__name__)
    size = format_html('width="{}" height="{}"', small.width, small.height)
    return format_html('<img src="{}" {} alt="{}" loading="lazy">', small.url, size, alt)


def no_picture(reason: str) -> SafeString:
    """The dash that the admin shows for an empty value, which says why when it is pointed at."""
    return format_html('<span class="quiet help-tooltip" title="{}">-</span>', reason)
