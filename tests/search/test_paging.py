"""Lists that are paged through: the same order whatever the size of a page, nothing twice, nothing lost."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from catalog.models import Product
from tests.search.crowd import _vectors, around, crowd, keys, pages
from visualsearch import similar_to
from visualsearch.conf import DEFAULTS
from visualsearch.exceptions import CursorOfAnotherQuery, InvalidCursor
from visualsearch.models import ImageEmbedding
from visualsearch.search import walking
from visualsearch.search.paging import Place, Position, cursor_of, position_of

pytestmark = pytest.mark.django_db

COUNT = 60
VARIETIES: list[dict[str, Any]] = [{}, {"diversity": 0.5}, {"fold": True}, {"diversity": 0.3, "fold": True}]


@pytest.fixture(autouse=True)
def _settings(fake_encoder: None, queue: Any, use_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiers that sixty products reach the end of. What is paged through here is not how PostgreSQL searches."""
    use_settings(STORE="tests.search.crowd.QuickStore")
    monkeypatch.setattr(walking, "TIERS", (10, 20, 35, 50))
    monkeypatch.setattr(walking, "MOST", 50)


@pytest.fixture
def shop() -> list[Product]:
    return crowd(around(np.arange(COUNT) * 0.02))


def searching(product: Product) -> Any:
    return lambda size, **options: similar_to(product, size, **options)


@pytest.mark.parametrize("options", [*VARIETIES, {"group_by": "colour"}, {"filters": {"price_min": 30}}])
def test_same_order_whatever_the_size_of_a_page(shop: list[Product], options: dict[str, Any]) -> None:
    whole = keys(*pages(searching(shop[0]), 100, **options))
    assert len(whole) == len(set(whole)) > 3
    for size in (3, 17):
        found = pages(searching(shop[0]), size, **options)
        assert keys(*found) == whole
        assert all(len(page) == size for page in found[:-1])
        assert [match.rank for page in found for match in page] == list(range(1, len(whole) + 1))


@pytest.mark.parametrize("store", ["tests.search.crowd.QuickStore", DEFAULTS["STORE"]])
def test_without_options_the_order_is_that_of_one_search(shop: list[Product], use_settings: Any, store: str) -> None:
    use_settings(STORE=store)
    whole = keys(*pages(searching(shop[0]), 8))
    assert whole == [product.pk for product in shop[1:51]]
    assert whole == keys(similar_to(shop[0], 50))


@pytest.mark.parametrize("options", VARIETIES)
def test_taken_off_sale_between_pages(shop: list[Product], options: dict[str, Any]) -> None:
    """What is gone is gone, shown or not; everything else comes once."""
    first = similar_to(shop[0], 12, cursor="", **options)
    gone = [keys(first)[0], keys(first)[-1], shop[13].pk, shop[20].pk, shop[40].pk]
    Product.objects.filter(pk__in=gone).update(is_published=False)
    found, page = keys(first), first
    while page.next:
        page = similar_to(shop[0], 7, cursor=page.next, **options)
        found += keys(page)
    assert len(found) == len(set(found))
    standing = {product.pk for product in shop[1:51]} - set(gone)
    assert standing <= set(found) or "fold" in options
    assert not set(found[12:]) & set(gone)
    if not options:
        assert found[12:] == [product.pk for product in shop[13:] if product.pk not in gone][: len(found) - 12]


def test_what_a_shorter_walk_missed_comes_later(shop: list[Product], monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk of the graph that is told to find more also finds near products that another did not."""
    whole, missed = walking.Walk.nearest, {shop[3].pk, shop[7].pk, shop[15].pk}

    def forgetful(self: Any, depth: int, *, related: bool = False) -> Any:
        found = whole(self, depth + 3, related=related)
        return [one for one in found if depth > 20 or one.product not in missed][:depth]

    monkeypatch.setattr(walking.Walk, "nearest", forgetful)
    for size in (6, 50):
        found = keys(*pages(searching(shop[0]), size))
        assert len(found) == len(set(found)) == 50
        assert missed <= set(found)


def test_the_graph_may_change_between_pages(shop: list[Product]) -> None:
    """A product that comes in nearer than what was shown does not come late, and nothing comes twice."""
    first = similar_to(shop[0], 12, cursor="")
    row = ImageEmbedding.objects.get(object_id=str(shop[55].images.get().pk))
    row.vector = around([0.001])[0]
    row.save()
    _vectors.cache_clear()
    rest = [similar_to(shop[0], 40, cursor=first.next)]
    assert not set(keys(first)) & set(keys(*rest))
    assert shop[55].pk not in keys(*rest)


@pytest.mark.parametrize("store", ["tests.search.crowd.QuickStore", DEFAULTS["STORE"]])
def test_ties_are_paged_through(use_settings: Any, store: str) -> None:
    use_settings(STORE=store)
    made = crowd(around([0.5] * 25))
    found = pages(searching(made[0]), 4)
    assert sorted(keys(*found)) == [product.pk for product in made[1:]]


def test_a_cursor_belongs_to_its_query(shop: list[Product]) -> None:
    cursor = similar_to(shop[0], 5, cursor="").next
    assert cursor
    assert len(similar_to(shop[0], 9, cursor=cursor, facets=["colour"], guess=["colour"])) == 9
    others: list[dict[str, Any]] = [
        {"filters": {"price_min": 3}},
        {"fold": True},
        {"diversity": 0.5},
        {"min_score": 10},
        {"like": [shop[5].pk]},
        {"group_by": "colour"},
        {"include_query": True},
    ]
    for other in others:
        with pytest.raises(CursorOfAnotherQuery):
            similar_to(shop[0], 5, cursor=cursor, **other)
    with pytest.raises(CursorOfAnotherQuery):
        similar_to(shop[1], 5, cursor=cursor)
    ImageEmbedding.objects.filter(object_id=str(shop[0].images.get().pk)).update(vector=around([0.3])[0])
    with pytest.raises(CursorOfAnotherQuery):
        similar_to(shop[0], 5, cursor=cursor)


@pytest.mark.parametrize("cursor", ["x", "a:b", "WzFd:\udce4", "\0", "x" * 5000])
def test_a_forged_cursor_is_named(shop: list[Product], cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        similar_to(shop[0], 5, cursor=cursor)
    good = similar_to(shop[0], 5, cursor="").next or ""
    with pytest.raises(InvalidCursor):
        similar_to(shop[0], 5, cursor=good[:-1])


def test_filters_written_in_another_way_are_the_same(shop: list[Product]) -> None:
    first = similar_to(shop[0], 5, {"category": ["chairs", "lamps"], "price_min": 3}, cursor="")
    same: dict[str, Any] = {"price_min": "3", "category": ("lamps", "chairs"), "price_max": None}
    assert len(similar_to(shop[0], 5, same, cursor=first.next)) == 5


def test_positions_survive_a_cursor() -> None:
    rng = random.Random(4)
    position = Position()
    for tier in range(3):
        for number in range(4):
            place = Place(rng.random(), f"key {tier} {number}")
            position = position.behind(place) if tier % 2 else position.besides(place.key)
        assert position_of(cursor_of(position, b"q" * 40), b"q" * 40) == position
        position = position.in_next_tier(Place(rng.random(), "end"))
    assert position.rank == 12


def test_the_longest_cursor_fits_an_address() -> None:
    position = Position(3, tuple(Place(0.123456789012345678, "k" * 36) for _ in range(3)))
    for number in range(400):
        position = position.besides(str(number))
    assert len(cursor_of(position, b"q" * 40)) < 3500  # gunicorn takes a request line of 4,094
