"""The read path: a product, a photo or a vector -> ranked products.

``eligible`` and the filters are part of the statement that finds the neighbours, so they are as fresh as the
database and a page is full while enough products pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, Unpack

from django.db import DataError, models
from PIL import Image

from visualsearch import usage
from visualsearch.calibration import calibration_of
from visualsearch.exceptions import InvalidFilter, InvalidOption, NotCalibrated
from visualsearch.models import VisualIndex, active_index
from visualsearch.regions import looking
from visualsearch.search import queries
from visualsearch.search.boxes import WHOLE, Box, checked_box
from visualsearch.search.counting import NEIGHBOURS, counts, guesses
from visualsearch.search.fields import declared_fields
from visualsearch.search.options import Options, Wishes, checked, checked_limit, digest
from visualsearch.search.paging import cursor_of, position_of
from visualsearch.search.parts import seen_in
from visualsearch.search.queries import Query
from visualsearch.search.reasons import explained
from visualsearch.search.results import Match, ProductState, Results, State
from visualsearch.search.states import product_state, state_of
from visualsearch.search.walking import MOST, Page, Walk, shown_distance
from visualsearch.sources import Filters, ImageSource, only_source, source_of_product

__all__ = [
    "Box",
    "Match",
    "ProductState",
    "Results",
    "State",
    "Wishes",
    "checked_box",
    "checked_limit",
    "product_state",
    "search_by_image",
    "similar_to",
    "state_of",
]


@usage.counted(usage.Kind.SIMILAR, lambda product, *_, source=None, **__: source_of_product(product, source))
def similar_to(
    product: models.Model,
    limit: int | None = None,
    filters: Filters | None = None,
    *,
    source: str | None = None,
    **options: Unpack[Wishes],
) -> Results:
    """Products that look like this one, never itself. All its indexed images make up the query.

    Two queries, and more with ``options`` (see Wishes). Raises InvalidLimit, InvalidFilter, SourceNotRegistered, and
    what options raise: InvalidOption, UnknownProduct, NotCalibrated, InvalidCursor, CursorOfAnotherQuery, and for
    ``explain`` NoFeatureMap and FingerprintMismatch. A product without vectors gives an empty page whose ``state`` says
    why.
    """
    origin = source_of_product(product, source)
    wanted = checked(origin, limit, options)
    eligible = origin.eligible_images(filters)
    query = queries.of_product(origin, product.pk, wanted)
    if query is None:
        found = state_of(origin, product.pk)
        return Results(state=found.state, reason=found.reason)
    return _answer(origin, query, eligible, filters, wanted)


@usage.counted(usage.Kind.PHOTO, lambda *_, source=None, **__: only_source(source))
def search_by_image(
    image: bytes | BinaryIO | None = None,
    limit: int | None = None,
    filters: Filters | None = None,
    *,
    source: str | None = None,
    box: Box | Sequence[float] | str | None = None,
    query: str | None = None,
    **options: Unpack[Wishes],
) -> Results:
    """Products that look like this photo, or the part of it in ``box``, which is read, encoded and forgotten.

    ``box`` is x, y, width and height in fractions of the upright picture. ``query``, the token of an earlier answer,
    stands for its photo. Two queries, and more with ``options`` (see Wishes).

    Raises ImageRefused, InvalidBox, QueryRefused, InvalidLimit, InvalidFilter, SourceNotRegistered, what options raise
    (see ``similar_to``; ``focus`` and ``objects`` as ``explain``), and FingerprintMismatch if this process's encoder is
    not the one that the index was made with. Before anything is indexed the page is empty and its ``state`` pending.
    """
    origin = only_source(source)
    wanted = checked(origin, limit, options, photo=image is not None)
    if (image is None) == (query is None):
        raise InvalidOption("Search with either an image or the query token of an earlier answer.")
    if box is not None and image is None:
        raise InvalidOption("A box is part of an image; the query token holds none.")
    part = None if box is None else checked_box(box)
    eligible = origin.eligible_images(filters)
    picture = None if image is None else queries.opened(image, part, looking.SIDE if wanted.of_parts else queries.SIDE)
    index = active_index(origin)
    if index is None:
        nothing = Results(state=State.PENDING, reason="Nothing is indexed yet.")
        nothing.objects = [] if wanted.objects else None
        return nothing
    if picture is None:
        return _answer(origin, queries.of_token(index, query or ""), eligible, filters, wanted)
    if wanted.of_parts:
        return _answer_of_parts(origin, index, picture, part, eligible, filters, wanted)
    results = _answer(origin, queries.of_picture(index, picture), eligible, filters, wanted)
    results.box = part
    return results


def _answer_of_parts(
    source: ImageSource,
    index: VisualIndex,
    picture: Image.Image,
    part: Box | None,
    eligible: models.QuerySet[Any],
    filters: Filters | None,
    options: Options,
) -> Results:
    """The results for what the picture, the ``part`` of a photo, is of, and for each thing in it."""
    seen = seen_in(source, index, picture, eligible, options)
    results = _answer(source, seen.subject.query, eligible, filters, options)
    results.box = (part or WHOLE).within(seen.subject.box) if seen.subject.box else part
    if options.objects:
        every = options.guess or declared_fields(source)
        one = replace(options, guess=every, facets=None, explain=False, cursor=options.cursor and "")
        results.objects = [_answer(source, thing.query, eligible, filters, one) for thing in seen.things]
        for found, thing in zip(results.objects, seen.things, strict=True):
            found.box = (part or WHOLE).within(thing.box or WHOLE)
    return results


def _answer(
    source: ImageSource, query: Query, eligible: models.QuerySet[Any], filters: Filters | None, options: Options
) -> Results:
    """The page of results, with whatever was asked for beside it."""
    calibration = calibration_of(query.index.calibration, query.index.fingerprint)
    if options.min_score is not None and calibration is None:
        raise NotCalibrated
    moved = queries.with_feedback(query, source, options)
    whole = moved.digest + digest(options, filters)
    start = position_of(options.cursor or "", whole)
    walk = Walk(source, moved, eligible, options, calibration)
    with _named_values(filters):
        page = walk.page(start) if options.in_tiers else walk.first()
        matches = _matches(source, page, start.rank)
        results = Results(explained(source, moved, matches) if options.explain else matches)
        if options.guess:
            results.guess = guesses(source, [one.product for one in page.nearest[:NEIGHBOURS]], options.guess)
        if options.facets:
            results.facets = counts(source, [one.product for one in walk.nearest(MOST)], options.facets)
    results.query = query.token
    if options.cursor is not None and page.following:
        results.next = cursor_of(page.following, whole)
    if options.min_score is not None:
        results.cut = page.cut
    return results


def _matches(source: ImageSource, page: Page, rank: int) -> list[Match]:
    images = {one.key: one.image for one in page.shown}
    if not page.loaded:
        names = (*([source.product_field] if source.product_field else []), *source.related)
        found = source.images().filter(pk__in=[image.pk for image in images.values()]).order_by()
        images = {str(image.pk): image for image in (found.select_related(*names) if names else found)}
    return [
        Match(
            source.product_of(images[one.key]),
            images[one.key],
            one.score,
            shown_distance(one.distance),
            number,
            one.folded,
            one.group,
        )
        for number, one in enumerate((one for one in page.shown if one.key in images), start=rank + 1)
    ]


@contextlib.contextmanager
def _named_values(filters: Filters | None) -> Iterator[None]:
    """A filter's value may pass its form and still be more than a column holds: 1e400 as a price."""
    try:
        yield
    except DataError as error:
        if not filters:
            raise
        raise InvalidFilter(f"A value is out of range: {', '.join(sorted(filters))}.") from error
