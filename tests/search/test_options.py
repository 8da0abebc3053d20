"""Every option with every other, in Python and over REST: what each promises holds whatever the others are."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from catalog.models import Product
from tests.search.crowd import COLOURS, crowd, keys, pages
from tests.shelf import picture
from visualsearch import search_by_image, similar_to
from visualsearch.encoders.base import Vectors
from visualsearch.models import VisualIndex
from visualsearch.search import Results, walking
from visualsearch.search.queries import of_token
from visualsearch.search.sameness import same_within
from visualsearch.stores.vectors import vectors_of
from visualsearch.testing import FakeEncoder

pytestmark = pytest.mark.django_db

COUNT, TWINS = 40, 8
CHOICES: dict[str, tuple[Any, ...]] = {
    "filters": (None, {"price_min": "4"}),
    "feedback": (None, True),
    "group_by": (None, "colour"),
    "fold": (False, True),
    "diversity": (0.0, 0.4),
    "min_score": (None, 40.0),
    "include_query": (False, True),
}
PRODUCT = [dict(zip(CHOICES, chosen, strict=True)) for chosen in itertools.product(*CHOICES.values())]
# What stands beside the results changes none of them: every third has it.
ALL = [{**choice, "beside": number % 3 == 0} for number, choice in enumerate(PRODUCT)]


def rows() -> Vectors:
    """Random directions near one of four, and twins of the first few."""
    rng = np.random.default_rng(7)
    centres = rng.random((4, FakeEncoder.dimensions))
    made = centres[np.arange(COUNT) % 4] + rng.random((COUNT, FakeEncoder.dimensions))
    made = np.concatenate([made, made[:TWINS] + 1e-4 * rng.random((TWINS, FakeEncoder.dimensions))])
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def shop(fake_encoder: None, use_settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Product]]:
    rates = {"SIMILAR_RATE": "9999/s", "PHOTO_RATE": "9999/s"}
    use_settings(ENQUEUE="visualsearch.testing.enqueue_nothing", STORE="tests.search.crowd.QuickStore", **rates)
    monkeypatch.setattr(walking, "TIERS", (15, 30, 48))
    monkeypatch.setattr(walking, "MOST", 48)
    cache.clear()
    yield crowd(rows())
    cache.clear()


def wishes(choice: dict[str, Any], shop: list[Product]) -> dict[str, Any]:
    """Keyword arguments for a choice."""
    wanted = {name: choice[name] for name in ("group_by", "fold", "diversity", "min_score", "include_query")}
    if choice["feedback"]:
        wanted |= {"like": [shop[5].pk, shop[9].pk], "unlike": [shop[2].pk]}
    if choice["beside"]:
        wanted |= {"guess": ["category"], "facets": ["colour", "category"]}
    return wanted


def searches(shop: list[Product], filters: Any) -> dict[str, Any]:
    """By product, by photo and by the photo's token, each as ``search(limit, **options)``."""
    photo = picture((90, 200, 60))
    token = search_by_image(photo, 1).query
    return {
        "product": lambda limit, **options: similar_to(shop[0], limit, filters, **options),
        "photo": lambda limit, **options: search_by_image(photo, limit, filters, **options),
        "token": lambda limit, **options: search_by_image(None, limit, filters, query=token, **options),
    }


@pytest.mark.parametrize("part", range(4))
def test_every_option_with_every_other(shop: list[Product], part: int) -> None:
    for number, choice in enumerate(ALL):
        if number % 4 != part:
            continue
        options, kinds = wishes(choice, shop), searches(shop, choice["filters"])
        kind = list(kinds)[number // 4 % 3]
        found = kinds[kind](18, **options)
        holds(found, choice, shop, kind)
        if number % 3:
            continue
        paged = pages(kinds[kind], 18, **options)
        assert keys(paged[0]) == keys(found) or not asked_of_tiers(choice), (kind, choice)
        for page in paged:
            holds(page, choice, shop, kind)
        everything = keys(*paged)
        assert len(everything) == len(set(everything))
        if kind == "token":
            assert keys(found) == keys(kinds["photo"](18, **options)), choice


def asked_of_tiers(choice: dict[str, Any]) -> bool:
    return bool(choice["group_by"] or choice["fold"] or choice["diversity"] or choice["beside"])


def holds(page: Results, choice: dict[str, Any], shop: list[Product], kind: str) -> None:
    """What each option of the choice promises."""
    feedback = {shop[5].pk, shop[9].pk, shop[2].pk} if choice["feedback"] else set()
    queried = {shop[0].pk} if kind == "product" else set()
    if not choice["include_query"]:
        assert not set(keys(page)) & (feedback | queried)
    if choice["filters"]:
        assert all(match.product.price >= 4 for match in page)
    if choice["min_score"]:
        assert all(match.score >= choice["min_score"] for match in page)
        assert page.cut is not None
    else:
        assert page.cut is None
    if choice["group_by"]:
        assert [match.group for match in page] == [match.product.colour for match in page]
        assert len({match.group for match in page}) == len(page) <= len(COLOURS)
    if choice["fold"]:
        assert twins(page) == []
        assert all(match.folded is not None for match in page)
    if not choice["diversity"]:
        assert [match.distance for match in page] == sorted(match.distance for match in page)
    if choice["beside"]:
        assert page.guess is not None
        assert page.facets is not None
        assert 0 < page.guess["category"].share <= 1
        reach = 48 - 4 * bool(choice["filters"]) - (0 if choice["include_query"] else len(feedback | queried))
        assert reach - 4 <= sum(count.count for count in page.facets["colour"]) <= reach + 4


def twins(page: Results) -> list[tuple[Any, Any]]:
    index = VisualIndex.objects.get()
    vectors, within = vectors_of(index, [str(match.image.pk) for match in page]), same_within(index)
    pairs = itertools.combinations([(match.product.pk, vectors[str(match.image.pk)]) for match in page], 2)
    return [(one, other) for (one, a), (other, b) in pairs if 1 - float(a @ b) < within * 0.9]


SOME = random.Random(4).sample(ALL, 24)


def test_any_two_options_meet_in_each_way() -> None:
    for one, other in itertools.combinations(CHOICES, 2):
        met = {(repr(choice[one]), repr(choice[other])) for choice in SOME}
        assert len(met) == 4, (one, other)


def test_the_api_answers_as_python_does(shop: list[Product]) -> None:
    api = APIClient()
    token = search_by_image(picture((90, 200, 60)), 1).query
    for number, choice in enumerate(SOME):
        options = wishes(choice, shop)
        given = {name: value for name, value in options.items() if value not in (None, False, 0.0)}
        given |= {"limit": 7, "cursor": "", **(choice["filters"] or {})}
        if number % 2:
            python = similar_to(shop[0], 7, choice["filters"], cursor="", **options)
            answer = api.get(f"/api/visualsearch/product/{shop[0].pk}/similar/", given)
        else:
            python = search_by_image(None, 7, choice["filters"], query=token, cursor="", **options)
            answer = api.post("/api/visualsearch/product/search/", {**given, "query": token}, format="json")
        assert answer.status_code == 200, answer.content
        shown = answer.json()
        assert [result["product"]["id"] for result in shown["results"]] == keys(python)
        assert shown["next"] == python.next
        assert shown.get("cut") == python.cut
        assert ("facets" in shown) == (python.facets is not None)
        assert [result.get("group") for result in shown["results"]] == [match.group for match in python]
        assert [result.get("folded") for result in shown["results"]] == [match.folded for match in python]


def test_a_blank_text_is_no_value(shop: list[Product]) -> None:
    Product.objects.filter(pk__in=[product.pk for product in shop[1:]]).exclude(colour="red").update(colour="")
    found = similar_to(shop[0], 9, group_by="colour", guess=["colour"], facets=["colour"])
    assert [match.group for match in found] == ["red"]
    assert found.guess is not None
    assert found.guess["colour"].value == "red"
    assert found.facets is not None
    assert [count.value for count in found.facets["colour"]] == ["red"]


def test_a_token_is_the_very_query_of_its_photo(shop: list[Product]) -> None:
    photo = search_by_image(picture((90, 200, 60)), 5)
    index = VisualIndex.objects.get()
    again = search_by_image(None, 5, query=photo.query)
    assert [match.distance for match in again] == [match.distance for match in photo]
    assert again.query == photo.query
    assert of_token(index, photo.query or "").vector.shape == (FakeEncoder.dimensions,)
