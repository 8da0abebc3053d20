"""What tags and pages share: addresses, pictures with their sizes, and answers that cannot break a page."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import Error, connections, models, router, transaction
from django.urls import NoReverseMatch, reverse

from visualsearch.conf import conf
from visualsearch.exceptions import VisualSearchError
from visualsearch.models import ImageEmbedding
from visualsearch.search import Match
from visualsearch.sources import ImageSource
from visualsearch.thumbnails import ThumbnailError, thumbnail

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

# What a page is shielded from: everything this package raises on purpose, and what the database raises where the
# extension or the tables are missing.
FAULTS = (VisualSearchError, Error)


@dataclass(frozen=True)
class Card:
    """A match as a template shows it. ``url`` is empty for a product that has no page of its own; ``score`` is 0 to
    100, and None where the index version has no calibration."""

    product: Any
    image: Any
    file: Any
    url: str
    score: float | None
    distance: float
    rank: int


@dataclass(frozen=True)
class Picture:
    """An <img>: ``srcset`` is empty unless there is a sharper file; width and height are CSS pixels."""

    src: str
    srcset: str
    width: int
    height: int


def cards(source: ImageSource, matches: Iterable[Match]) -> list[Card]:
    """Matches with their picture files and addresses. No queries."""
    return [
        Card(m.product, m.image, source.file_of(m.image), product_url(m.product), m.score, m.distance, m.rank)
        for m in matches
    ]


def picture(file: Any, side: int) -> Picture:
    """The file at ``side`` CSS pixels, with one of twice that for dense screens if it has so many.

    Raises ThumbnailError.
    """
    single = thumbnail(file, side)
    srcset = ""
    if max(single.width, single.height) >= side:
        double = thumbnail(file, 2 * side)
        if double.url != single.url and double.width > single.width:
            srcset = f"{double.url} 2x"
    return Picture(single.url, srcset, single.width, single.height)


def picture_or_none(file: Any, side: int) -> Picture | None:
    """The same; logs and returns None where there is no picture to show."""
    try:
        return picture(file, side)
    except VisualSearchError as fault:
        log = logger.info if isinstance(fault, ThumbnailError) and not file else logger.warning
        log("A page shows no picture: %s", fault)
        return None


def address_of(picture: Any) -> str:
    """The address of an image file; an address as it is; an empty string for a file field without one."""
    if not picture or isinstance(picture, str):
        return str(picture or "")
    return str(picture.url)


def product_url(product: models.Model) -> str:
    """The product's own page, or an empty string."""
    absolute = getattr(product, "get_absolute_url", None)
    return _address(absolute) if absolute else ""


def similar_url(source: ImageSource, product: models.Model) -> str:
    """The page of products similar to this one, or an empty string where the shop has not included our addresses."""
    return _address(lambda: reverse("visualsearch:similar", args=[source.name, product.pk]))


def photo_url(source: ImageSource) -> str:
    """The page that searches by photo, or an empty string where the shop has not included our addresses."""
    return _address(lambda: reverse("visualsearch:photo", args=[source.name]))


def why_url(source: ImageSource, product: object = None) -> str:
    """The address that tells why a result matched a photo, or this product (its key); an empty string where the shop
    has not included our addresses."""
    return _address(lambda: reverse("visualsearch:why", args=[source.name, *([] if product is None else [product])]))


def max_megabytes() -> float:
    """The largest photo accepted, in megabytes of 1024 x 1024 bytes."""
    return float(conf.MAX_BYTES) / 1024**2


def _address(made: Callable[[], str]) -> str:
    try:
        return str(made())
    except NoReverseMatch as fault:
        logger.warning("A page shows no link: %s", fault)
        return ""


def guarded(search: Callable[[], ResultT]) -> ResultT:
    """What ``search`` returns. Whatever it raises, the transaction of the page can go on."""
    with savepoint():
        return search()


def savepoint() -> contextlib.AbstractContextManager[Any]:
    """A savepoint where a transaction is open; outside one a failed statement spoils nothing."""
    alias = router.db_for_read(ImageEmbedding)
    return transaction.atomic(using=alias) if connections[alias].in_atomic_block else contextlib.nullcontext()
