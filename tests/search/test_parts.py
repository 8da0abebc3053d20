"""focus, objects and explain with every other option: what each promises holds whatever the others are."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from PIL import Image, ImageDraw
from rest_framework.test import APIClient

from catalog.models import Product, ProductImage
from tests.search import palette
from tests.search.crowd import crowd, keys, pages
from tests.search.test_options import CHOICES, holds, rows, wishes
from visualsearch import search_by_image, similar_to
from visualsearch.exceptions import InvalidLimit, InvalidOption, NoFeatureMap
from visualsearch.models import VisualIndex
from visualsearch.regions import centroids
from visualsearch.search import Results, walking
from visualsearch.search.boxes import Box
from visualsearch.search.queries import of_token

pytestmark = pytest.mark.django_db

PARTS: dict[str, tuple[Any, ...]] = {
    "beside": (False, True),
    "box": (None, Box(0.0, 0.0, 0.5, 1.0)),
    "focus": (False, True),
    "objects": (False, True),
    "explain": (False, True),
}
EVERY: dict[str, tuple[Any, ...]] = {**CHOICES, **PARTS}
RANDOM = random.Random(12)
SOME = [{name: RANDOM.choice(values) for name, values in EVERY.items()} for _ in range(16)]
# The photo: these colours of goods in these places, on a ground that is like none of them.
GOODS = {0: (40, 60, 250, 270), 2: (400, 200, 600, 400)}
SIZE = (640, 480)


def photo() -> bytes:
    picture = Image.new("RGB", SIZE, palette.GROUND)
    for kind, place in GOODS.items():
        ImageDraw.Draw(picture).rectangle(place, fill=tuple(map(int, palette.COLOURS[kind])))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_any_two_options_meet_in_each_way() -> None:
    for one, other in itertools.combinations(EVERY, 2):
        met = {(repr(choice[one]), repr(choice[other])) for choice in SOME}
        assert len(met) == 4, (one, other)


@pytest.fixture
def shop(use_settings: Any, monkeypatch: pytest.MonkeyPatch, media: Path) -> Iterator[list[Product]]:
    """Products of four kinds, each with a picture of its kind's colour."""
    rates = {"SIMILAR_RATE": "9999/s", "PHOTO_RATE": "9999/s"}
    use_settings(
        ENCODER="tests.search.palette.PaletteEncoder",
        ENQUEUE="visualsearch.testing.enqueue_nothing",
        STORE="tests.search.crowd.QuickStore",
        **rates,
    )
    monkeypatch.setattr(walking, "TIERS", (15, 30, 48))
    monkeypatch.setattr(walking, "MOST", 48)
    cache.clear()
    centroids.forget()
    products = crowd(rows())
    media.mkdir(exist_ok=True)
    for number, image in enumerate(ProductImage.objects.order_by("pk")):
        colour = tuple(map(int, palette.COLOURS[number % palette.KINDS]))
        Image.new("RGB", (32, 32), colour).save(media / str(image.image))
    yield products
    cache.clear()
    centroids.forget()


def asked(choice: dict[str, Any], shop: list[Product]) -> dict[str, Any]:
    """Keyword arguments of a photo search for a choice."""
    parts = {"focus": "auto" if choice["focus"] else None, **{name: choice[name] for name in ("objects", "explain")}}
    return {**wishes(choice, shop), **parts}


def test_every_option_with_every_other(shop: list[Product]) -> None:
    content = photo()
    for choice in SOME:
        options, filters = asked(choice, shop), choice["filters"]
        found = search_by_image(content, 9, filters, box=choice["box"], **options)
        holds(found, choice, shop, "photo")
        boxed(found, choice)
        assert (found.objects is not None) == choice["objects"]
        for thing in found.objects or []:
            holds(thing, {**choice, "beside": False}, shop, "photo")
            assert thing.guess is not None
        because(found, explained=choice["explain"], moved=bool(choice["feedback"]))
        later = {name: value for name, value in options.items() if name not in ("focus", "objects")}
        again = search_by_image(None, 9, filters, query=found.query, **later)
        assert keys(again) == keys(found)
        because(again, explained=choice["explain"], moved=bool(choice["feedback"]))
        for thing in (found.objects or [])[:1]:
            assert keys(search_by_image(None, 9, filters, query=thing.query, **later, cursor="")) == keys(thing)


def boxed(found: Results, choice: dict[str, Any]) -> None:
    """Where the goods are: in the left half only the first of them."""
    inside = Box(*choice["box"] or (0, 0, 1, 1))
    kinds = [0] if choice["box"] else [0, 2]
    if choice["focus"]:
        assert found.box is not None
        assert any(share(found.box, kind) > 0.2 for kind in kinds)
        assert within(found.box, inside)
    else:
        assert found.box == choice["box"]
    if found.objects is not None:
        assert len(kinds) <= len(found.objects) <= 5
        for kind in kinds:
            assert any(share(thing.box, kind) > 0.2 for thing in found.objects)
        assert all(within(thing.box, inside) for thing in found.objects)


def share(box: Any, kind: int) -> float:
    """Intersection over union with the place of these goods."""
    left, upper, right, lower = (length / side for length, side in zip(GOODS[kind], (*SIZE, *SIZE), strict=True))
    across = min(right, box.x + box.width) - max(left, box.x)
    down = min(lower, box.y + box.height) - max(upper, box.y)
    shared = max(0.0, across) * max(0.0, down)
    return shared / ((right - left) * (lower - upper) + box.width * box.height - shared)


def within(box: Any, other: Box) -> bool:
    return (
        box.x >= other.x - 1e-6
        and box.y >= other.y - 1e-6
        and box.x + box.width <= other.x + other.width + 1e-6
        and box.y + box.height <= other.y + other.height + 1e-6
    )


def because(found: Results, *, explained: bool, moved: bool = True) -> None:
    """Each result's shares add up to the cosine of its own picture and the query, which the token holds where feedback
    has not ``moved`` it."""
    for match in found:
        assert (match.explanation is not None) == explained
        if match.explanation is None:
            continue
        assert match.explanation.shares.sum() == pytest.approx(match.explanation.similarity, abs=1e-4)
        if not moved:
            own = palette.directions()[int(match.product.price) % palette.KINDS]
            query = of_token(VisualIndex.objects.get(), found.query or "").vector
            assert match.explanation.similarity == pytest.approx(query @ own / np.linalg.norm(own), abs=2e-3)


def test_the_subject_decides_what_is_found(shop: list[Product]) -> None:
    """The whole is like the ground; the subject is one of the goods, and each thing is of its own kind."""
    found = search_by_image(photo(), 4, focus="auto", objects=True)
    kinds = {number: {product.pk for product in shop[:40][number :: palette.KINDS]} for number in GOODS}
    best = next(kind for kind in GOODS if share(found.box, kind) > 0.2)
    assert set(keys(found)) <= kinds[best] | {product.pk for product in shop[40:]}
    # Where windows look alike, rounding decides which of them is taken: beside the two there may be a part of one.
    taken = [max(GOODS, key=lambda kind: share(thing.box, kind)) for thing in found.objects or []]
    assert set(taken) == set(GOODS)
    for kind, thing in zip(taken, found.objects or [], strict=True):
        assert share(thing.box, kind) > 0
        assert set(keys(thing)) <= kinds[kind] | {product.pk for product in shop[40:]}


def test_nothing_that_may_not_be_shown(shop: list[Product]) -> None:
    """Hidden goods are neither results nor things, and no box is drawn around what only they are like."""
    Product.objects.filter(pk__in=[product.pk for number, product in enumerate(shop) if number % 4 == 2]).update(
        is_published=False
    )
    found = search_by_image(photo(), 9, objects=True, focus="auto", explain=True)
    shown = {match.product.pk for page in (found, *(found.objects or [])) for match in page}
    assert not Product.objects.filter(pk__in=shown, is_published=False).exists()
    assert share(found.box, 0) > 0.2
    Product.objects.update(is_published=False)
    nothing = search_by_image(photo(), 9, objects=True, focus="auto", explain=True)
    assert (list(nothing), nothing.objects, nothing.box) == ([], [], None)


def test_products_and_their_pages_are_explained(shop: list[Product]) -> None:
    for page in pages(lambda limit, **options: similar_to(shop[0], limit, **options), 20, explain=True):
        because(page, explained=True)
    liked = similar_to(shop[0], 3, like=[shop[1]], explain=True)
    plain = similar_to(shop[0], 3, explain=True)
    assert liked[0].explanation.similarity != plain[0].explanation.similarity


def test_a_file_that_is_gone(shop: list[Product], media: Path, caplog: Any) -> None:
    nearest = similar_to(shop[0], 2)
    (media / str(nearest[0].image.image)).unlink()
    (media / str(nearest[1].image.image)).write_bytes(b"no picture")
    found = similar_to(shop[0], 3, explain=True)
    assert [match.explanation is None for match in found] == [True, True, False]
    assert caplog.text.count("A result is not explained") == 2


@pytest.mark.parametrize("wrong", [{"focus": "face"}, {"focus": True}, {"objects": "yes"}, {"explain": 1}])
def test_values_that_are_none(shop: list[Product], wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(InvalidOption, match=f"^{name} must be"):
        search_by_image(photo(), **wrong)


def test_where_there_is_no_photo(shop: list[Product]) -> None:
    token = search_by_image(photo(), 1).query
    with pytest.raises(InvalidOption, match=r"^focus and objects: only a search by photo"):
        similar_to(shop[0], focus="auto", objects=True)
    with pytest.raises(InvalidOption, match=r"^objects: only a search by photo"):
        search_by_image(query=token, objects=True)
    with pytest.raises(InvalidLimit, match="from 1 to 24 with explain, not 25"):
        similar_to(shop[0], 25, explain=True)


def test_an_encoder_without_places(shop: list[Product], use_settings: Any) -> None:
    use_settings(ENCODER="visualsearch.testing.FakeEncoder")
    api, product = APIClient(), f"/api/visualsearch/product/{shop[0].pk}/similar/"
    for options in ({"focus": "auto"}, {"objects": True}, {"explain": True}):
        with pytest.raises(NoFeatureMap):
            search_by_image(photo(), **options)
        answer = api.post("/api/visualsearch/product/search/", {"image": io.BytesIO(photo()), **options})
        assert (answer.status_code, answer.json()["code"]) == (422, "no_feature_map")
    assert api.get(product, {"explain": "true"}).status_code == 422


def test_the_api_answers_as_python_does(shop: list[Product]) -> None:
    api, address = APIClient(), "/api/visualsearch/product/search/"
    for choice in SOME[:4]:
        options = asked(choice, shop)
        python = search_by_image(photo(), 5, choice["filters"], box=choice["box"], **options)
        given = {name: value for name, value in options.items() if value not in (None, False, 0.0)}
        if choice["box"]:
            given["box"] = ",".join(map(str, choice["box"]))
        answer = api.post(address, {**given, "limit": 5, **(choice["filters"] or {}), "image": io.BytesIO(photo())})
        assert answer.status_code == 200, answer.content
        shown = answer.json()
        assert [result["product"]["id"] for result in shown["results"]] == keys(python)
        assert shown["query"].partition(":")[0] == (python.query or "").partition(":")[0]  # the rest is the time
        assert ("box" in shown) == choice["focus"]
        if choice["focus"]:
            assert shown["box"] == pytest.approx(list(python.box))
        assert ("objects" in shown) == choice["objects"]
        for thing, own in zip(shown.get("objects", []), python.objects or [], strict=True):
            assert thing["box"] == pytest.approx(list(own.box))
            assert [result["product"]["id"] for result in thing["results"]] == keys(own)
            assert thing["guess"].keys() == own.guess.keys()
            assert "explanation" not in thing["results"][0]
        for result, match in zip(shown["results"], python, strict=True):
            assert ("explanation" in result) == choice["explain"]
            if choice["explain"]:
                told = result["explanation"]
                assert np.sum(told["shares"]) == pytest.approx(told["similarity"], abs=1e-4)
                assert told["heat_map"] == match.explanation.data_uri()
