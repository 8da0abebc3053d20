"""A small shop with one product that nobody may see, made of colours instead of a network's vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.core.cache import cache

from catalog.models import Product
from tests import shelf
from visualsearch.models import VisualIndex

MARK = "zqsecret"  # stands in every text of the hidden product, and nowhere else


class Shop(NamedTuple):
    shown: list[Product]
    hidden: Product  # the nearest of all to the first that is shown


@pytest.fixture
def shop(db: None, fake_encoder: None, use_settings: Any) -> Iterator[Shop]:
    use_settings(ENQUEUE="visualsearch.testing.enqueue_nothing", PHOTO_RATE="10000/min", SIMILAR_RATE="10000/min")
    cache.clear()
    shown = [shelf.make_product(shelf.picture(shelf.shade(number)), colour="red") for number in range(6)]
    texts = {"title": f"{MARK} title", "sku": f"{MARK}-1", "colour": f"{MARK}colour", "description": f"{MARK} text"}
    hidden = shelf.make_product(shelf.picture(shelf.shade(0)), is_published=False, **texts)
    shelf.index_everything()
    VisualIndex.objects.update(calibration=shelf.CALIBRATION)
    yield Shop(shown, hidden)
    cache.clear()
