"""Tags for a shop's templates. They never break a page: what goes wrong is logged, and nothing is shown.

``{% load visualsearch %}``, then::

    {% similar_products product limit=8 %}              a block, or nothing
    {% similar_products product limit=8 as results %}   Results to show in your own way, or None
    {% find_similar_button product %}                   a link to the page of similar products
    {% visual_search_form %}                            a form that searches by photo
    {% visual_search_button %}                          a link to it, which opens as a dialog where scripts run
    {% visual_search_button picture=file %}             the same, with a picture of the page to cut a part out of
    {% product_picture file side=320 alt=title %}       an <img> of the right size

Each has a template of its name in ``visualsearch/`` to override.
"""

from __future__ import annotations

import logging
from typing import Any

from django import template
from django.db import models
from django.template.base import FilterExpression, Parser, Token
from django.template.context import Context
from django.template.library import parse_bits
from django.utils.safestring import SafeString, mark_safe

from visualsearch import presentation
from visualsearch.conf import conf
from visualsearch.exceptions import SourceNotRegistered
from visualsearch.presentation import FAULTS
from visualsearch.search import Results, similar_to
from visualsearch.sources import Filters, ImageSource, only_source, source_of_product

register = template.Library()
logger = logging.getLogger(__name__)

NOTHING = mark_safe("")
FORMATS_NAMED = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WEBP": "WebP",
    "HEIF": "HEIC",
    "AVIF": "AVIF",
}  # those of phones and web


class SimilarProductsNode(template.Node):
    """``{% similar_products product limit=8 filters=None source=None %}``, with or without ``as name``."""

    def __init__(self, args: list[FilterExpression], kwargs: dict[str, FilterExpression], target: str | None) -> None:
        self.args = args
        self.kwargs = kwargs
        self.target = target

    def render(self, context: Context) -> str:
        args = [argument.resolve(context) for argument in self.args]
        kwargs = {name: argument.resolve(context) for name, argument in self.kwargs.items()}
        found = _similar(*args, **kwargs)
        if self.target is not None:
            context[self.target] = found[1] if found else None
            return ""
        return _similar_block(context, args[0] if args else kwargs["product"], *found) if found else ""


@register.tag
def similar_products(parser: Parser, token: Token) -> SimilarProductsNode:
    """Products that look like this one. See the module's docstring."""
    name, *bits = token.split_contents()
    target = None
    if len(bits) >= 2 and bits[-2] == "as":
        target, bits = bits[-1], bits[:-2]
    arguments = ["product", "limit", "filters", "source"]
    defaults = (8, None, None)
    # The stubs describe an older parse_bits, without the keyword-only names.
    args, kwargs = parse_bits(  # type: ignore[call-arg]
        parser,
        bits,
        arguments,
        None,
        None,
        defaults,
        [],
        None,
        False,  # type: ignore[arg-type]
        name,
    )
    return SimilarProductsNode(args, kwargs, target)


@register.simple_tag(takes_context=True)
def find_similar_button(context: Context, product: Any, source: str | None = None) -> SafeString:
    """A small link, to be laid on the product's picture, to the page of what looks like it. No queries."""
    try:
        url = presentation.similar_url(_source_of(product, source), product)
    except FAULTS as fault:
        logger.error("find_similar_button shows nothing: %s", fault)
        return NOTHING
    return _rendered(context, "find_similar_button", product=product, url=url) if url else NOTHING


@register.simple_tag(takes_context=True)
def visual_search_form(context: Context, source: str | None = None, target: str = "") -> SafeString:
    """A form that searches by photo: a multipart POST, which needs no script. No queries.

    ``target`` is the id of the element that is to hold the answer where scripts run; without it the page is left.
    """
    try:
        url = presentation.photo_url(only_source(source))
    except FAULTS as fault:
        logger.error("visual_search_form shows nothing: %s", fault)
        return NOTHING
    formats = [name for key, name in FORMATS_NAMED.items() if key in conf.IMAGE_FORMATS]
    if not url:
        return NOTHING
    size = presentation.max_megabytes()
    return _rendered(context, "visual_search_form", url=url, formats=formats, max_megabytes=size, target=target)


@register.simple_tag(takes_context=True)
def visual_search_button(context: Context, picture: Any = None, source: str | None = None) -> SafeString:
    """A link to the photo page, which opens it as a dialog where scripts run. No queries.

    ``picture`` is an image file, or the address of one, that the dialog is to show: the customer cuts a part out of it.
    """
    try:
        url = presentation.photo_url(only_source(source))
        shown = presentation.address_of(picture)
    except FAULTS as fault:
        logger.error("visual_search_button shows nothing: %s", fault)
        return NOTHING
    return _rendered(context, "visual_search_button", url=url, picture=shown) if url else NOTHING


@register.simple_tag(takes_context=True)
def product_picture(context: Context, file: Any, side: int = 320, alt: object = "", lazy: bool = True) -> SafeString:
    """An <img> of at most ``side`` CSS pixels with width, height and a sharper file for dense screens."""
    shown = presentation.picture_or_none(file, side)
    return _rendered(context, "picture", picture=shown, alt=alt, lazy=lazy) if shown else NOTHING


def _similar(
    product: Any, limit: int = 8, filters: Filters | None = None, source: str | None = None
) -> tuple[ImageSource, Results] | None:
    try:
        origin = _source_of(product, source)
        return origin, presentation.guarded(lambda: similar_to(product, limit, filters or None, source=origin.name))
    except FAULTS as fault:
        logger.error("similar_products shows nothing: %s", fault)
        return None


def _similar_block(context: Context, product: models.Model, source: ImageSource, results: Results) -> SafeString:
    return _rendered(
        context,
        "similar_products",
        product=product,
        results=results,
        matches=presentation.cards(source, results),
        kind="",  # a block of a page, which has no filters and no further pages
        problem="",
        shown=None,
        url=presentation.similar_url(source, product),
    )


def _source_of(product: Any, name: str | None) -> ImageSource:
    """Raises SourceNotRegistered also for what is no model, such as the empty string of a misspelt variable."""
    if not isinstance(product, models.Model):
        raise SourceNotRegistered(f"The tag takes a product, not {product!r}.")
    return source_of_product(product, name)


def _rendered(context: Context, name: str, **variables: Any) -> SafeString:
    """Our template on top of the page's context, so that a shop's own version of it has the request and the rest."""
    if context.template is None:
        raise RuntimeError("The tags of visualsearch need a template that is being rendered.")
    found = context.template.engine.get_template(f"visualsearch/{name}.html")
    with context.push(**variables):
        return found.render(context)
