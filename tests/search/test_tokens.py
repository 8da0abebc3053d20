"""A search by photo that goes on without the photo: its token, its box, and what is liked."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core import signing
from PIL import Image

from catalog.models import Product
from tests.shelf import index_everything, make_product, picture, shade
from visualsearch import exceptions, search_by_image, similar_to
from visualsearch.models import VisualIndex
from visualsearch.search import checked_box, tokens

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _colours(fake_encoder: None, queue: Any) -> None:
    """Colours for vectors."""


@pytest.fixture
def rainbow() -> list[Product]:
    made = [make_product(picture(shade(number)), price=number) for number in range(12)]
    index_everything()
    return made


def found(*args: Any, **options: Any) -> list[Product]:
    return [match.product for match in search_by_image(*args, **options)]


def test_a_token_stands_for_its_photo(rainbow: list[Product], django_assert_num_queries: Any) -> None:
    first = search_by_image(picture(shade(4)), 5)
    with django_assert_num_queries(2):
        again = search_by_image(None, 5, query=first.query)
    assert [(m.product, m.distance) for m in again] == [(m.product, m.distance) for m in first]
    assert [p.price for p in found(None, 3, {"price_min": 9}, query=first.query)] == [9, 10, 11]
    assert search_by_image(picture(shade(4)), 5, query=None).query != ""


def test_a_token_holds_no_picture_and_fits_a_form(rainbow: list[Product]) -> None:
    token = search_by_image(picture(shade(4))).query or ""
    content = signing.b64_decode(token.partition(":")[0].encode())
    assert content.startswith(b'["", "product", "fa4e')
    assert len(content) == content.index(b"\n") + 1 + 64 * 2


def test_an_old_token(rainbow: list[Product], monkeypatch: pytest.MonkeyPatch) -> None:
    token = search_by_image(picture(shade(4))).query
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + tokens.MAX_AGE - 5)
    assert found(None, query=token)
    monkeypatch.setattr(signing.time, "time", lambda: now + tokens.MAX_AGE + 5)
    with pytest.raises(exceptions.QueryExpired):
        search_by_image(None, query=token)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: "A" + t[1:], lambda t: "", lambda t: "x", lambda t: "\udce4:a:b"]
)
def test_a_forged_token(rainbow: list[Product], change: Any) -> None:
    token = search_by_image(picture(shade(4))).query or ""
    with pytest.raises(exceptions.InvalidQuery):
        search_by_image(None, query=change(token))


def test_a_token_signed_with_another_key(rainbow: list[Product], settings: Any) -> None:
    token = search_by_image(picture(shade(4))).query
    settings.SECRET_KEY = "another"
    with pytest.raises(exceptions.InvalidQuery):
        search_by_image(None, query=token)
    settings.SECRET_KEY_FALLBACKS = ["only for tests"]
    assert found(None, query=token)


def test_tokens_of_elsewhere(rainbow: list[Product], use_settings: Any) -> None:
    index = VisualIndex.objects.get()
    token = search_by_image(picture(shade(4))).query
    use_settings(SHOP="north")
    with pytest.raises(exceptions.QueryOfAnotherShop):
        search_by_image(None, query=token)
    own = search_by_image(picture(shade(4))).query
    assert found(None, query=own)
    use_settings(SHOP="")
    vector = tokens.vector_of(token or "", index)
    other = tokens.signed(VisualIndex(source="shoe", fingerprint=index.fingerprint), vector)
    with pytest.raises(exceptions.QueryOfAnotherSource, match="'shoe'"):
        search_by_image(None, query=other)
    VisualIndex.objects.update(fingerprint="0" * 64)
    with pytest.raises(exceptions.QueryOutdated):
        search_by_image(None, query=token)


def test_either_a_photo_or_a_token(rainbow: list[Product]) -> None:
    token = search_by_image(picture(shade(4))).query
    for wrong in ({}, {"image": picture(), "query": token}, {"query": token, "box": "0,0,1,1"}):
        with pytest.raises(exceptions.InvalidOption):
            search_by_image(**wrong)  # type: ignore[arg-type]


def halves() -> bytes:
    """Left the colour of one product, right that of another."""
    image = Image.new("RGB", (200, 100), shade(2))
    image.paste(shade(9), (100, 0, 200, 100))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_box_is_searched_with_alone(rainbow: list[Product]) -> None:
    left, right = (search_by_image(halves(), 1, box=box)[0] for box in ("0,0,0.5,1", [0.5, 0.0, 0.5, 1.0]))
    assert (left.product, right.product) == (rainbow[2], rainbow[9])
    assert left.distance < 1e-3
    assert right.distance < 1e-3


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("", "four numbers"),
        ("1,2,3", "four numbers"),
        ("0,0,1,1,1", "not 5"),
        ("a,b,c,d", "four numbers"),
        ("0,0,nan,1", "finite"),
        ("0,0,inf,1", "finite"),
        ("0,0,0,1", "no area"),
        ("0,0,1,-1", "no area"),
        ("-0.1,0,1,1", "beyond"),
        ("0.5,0,0.6,1", "beyond"),
        ("0,0,20,20", "beyond"),
        ("0,0,0.01,0.01", "2 x 1 pixels"),
        ([0, 0, 10**400, 1], "four numbers"),
    ],
)
def test_bad_boxes_are_named(rainbow: list[Product], box: Any, message: str) -> None:
    with pytest.raises(exceptions.InvalidBox, match=message):
        search_by_image(halves(), box=box)


def test_a_small_box_of_a_large_photo_is_read_sharp() -> None:
    assert checked_box("0.1,0.1,0.25,0.5").side(224) == 896
    assert checked_box("0,0,1,1").side(224) == 224
    assert checked_box("0,0,0.01,0.01").side(224) == 1792


def test_liked_and_unliked(rainbow: list[Product]) -> None:
    plain = [match.product for match in similar_to(rainbow[5], 11)]
    liked = [match.product for match in similar_to(rainbow[5], 10, like=[rainbow[9]])]
    assert liked.index(rainbow[8]) < plain.index(rainbow[8])
    assert not {rainbow[5], rainbow[9]} & set(liked)
    away = [match.product for match in similar_to(rainbow[5], 9, unlike=[rainbow[6].pk, str(rainbow[7].pk)])]
    assert not {rainbow[6], rainbow[7]} & set(away)
    assert away.index(rainbow[4]) < away.index(rainbow[8])
    with_all = [match.product for match in similar_to(rainbow[5], 12, like=[rainbow[9]], include_query=True)]
    assert {rainbow[5], rainbow[9]} <= set(with_all)
    token = search_by_image(picture(shade(5)), 1).query
    assert rainbow[9] not in found(None, 12, query=token, like=rainbow[9].pk)


def test_unknown_and_hidden_products_are_alike(rainbow: list[Product]) -> None:
    Product.objects.filter(pk=rainbow[3].pk).update(is_published=False)
    waiting = make_product(picture())
    said = []
    for key in (rainbow[3].pk, 999_999, "no key", waiting.pk, "\0"):
        with pytest.raises(exceptions.UnknownProduct) as error:
            similar_to(rainbow[5], like=[rainbow[1].pk, key])
        said.append(str(error.value).replace(str(key), "KEY"))
    assert len(set(said)) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"diversity": 1.1},
        {"diversity": "1"},
        {"min_score": -1},
        {"min_score": float("nan")},
        {"fold": "yes"},
        {"group_by": "price"},
        {"group_by": "price_min"},
        {"facets": ["colour", "size"]},
        {"guess": "in_stock"},
        {"like": list(range(51))},
        {"sort": "price"},
    ],
)
def test_wrong_options_are_named(rainbow: list[Product], options: dict[str, Any]) -> None:
    with pytest.raises(exceptions.InvalidOption, match=next(iter(options))):
        similar_to(rainbow[0], 5, **options)


def test_scores_need_a_calibration(rainbow: list[Product]) -> None:
    with pytest.raises(exceptions.NotCalibrated):
        similar_to(rainbow[0], min_score=50)
