"""Photos as mobile clients send them: the body itself, base64 in JSON, a token; and bodies that are none of these."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.test import APIClient

from catalog.models import Product
from tests import shelf
from visualsearch.api.bodies import FORM_OVERHEAD
from visualsearch.api.views import SearchView

pytestmark = pytest.mark.django_db
ADDRESS = "/api/visualsearch/product/search/"
PICTURE = shelf.picture(shelf.shade(0), kind="JPEG")
TEXT = base64.b64encode(PICTURE).decode()


def found(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [result["product"]["id"] for result in response.json()["results"]]


def refused(response: Any) -> tuple[int, str]:
    assert response["Cache-Control"] == "no-store"
    assert set(response.json()) == {"code", "detail"}
    return response.status_code, response.json()["code"]


def raw(api: APIClient, body: bytes, kind: str = "image/jpeg", query: str = "") -> Any:
    return api.generic("POST", f"{ADDRESS}?{query}", body, content_type=kind)


def sent(api: APIClient, **members: Any) -> Any:
    return api.post(ADDRESS, members, format="json")


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "image/x-unheard-of", "IMAGE/JPEG; charset=binary"])
def test_a_picture_as_the_body(api: APIClient, rainbow: list[Product], kind: str) -> None:
    assert found(raw(api, PICTURE, kind, "limit=2")) == [rainbow[0].pk, rainbow[1].pk]
    assert found(raw(api, PICTURE, kind, f"limit=1&price_min={rainbow[7].price}")) == [rainbow[7].pk]


@pytest.mark.parametrize(
    "image",
    [
        TEXT,
        f"data:image/jpeg;base64,{TEXT}",
        f"data:;base64,{TEXT}",
        "\r\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)) + "\n",
    ],
)
def test_base64_in_json(api: APIClient, rainbow: list[Product], image: str) -> None:
    assert found(sent(api, image=image, limit=2)) == [rainbow[0].pk, rainbow[1].pk]


def test_members_of_the_json_are_fields(api: APIClient, rainbow: list[Product]) -> None:
    Product.objects.filter(pk__in=[rainbow[5].pk, rainbow[6].pk]).update(colour="teal", stock=0)
    Product.objects.filter(pk=rainbow[8].pk).update(colour="rust")
    three = [rainbow[5].pk, rainbow[6].pk, rainbow[8].pk]
    assert found(sent(api, image=TEXT, colour=["teal", "rust"])) == three
    assert found(sent(api, image=TEXT, in_stock=False, price_max=None)) == three[:2]
    answer = sent(api, image=TEXT, box=[0, 0, 0.5, 1], limit=3, cursor="", facets=["colour"], fold=True).json()
    assert answer["next"]
    assert [count["value"] for count in answer["facets"]["colour"]][-2:] == ["teal", "rust"]
    assert all("folded" in result for result in answer["results"])


def test_a_token_goes_on_in_each_form(api: APIClient, rainbow: list[Product]) -> None:
    token = raw(api, PICTURE).json()["query"]
    expected = [rainbow[1].pk, rainbow[2].pk]
    given = {"query": token, "limit": 2, "unlike": rainbow[0].pk}
    assert found(sent(api, **given)) == expected
    assert found(api.post(ADDRESS, given, format="multipart")) == expected
    form = f"query={token}&limit=2&unlike={rainbow[0].pk}"
    assert found(api.post(ADDRESS, form, content_type="application/x-www-form-urlencoded")) == expected


def test_pages_by_token(api: APIClient, rainbow: list[Product]) -> None:
    token = raw(api, PICTURE).json()["query"]
    answer = sent(api, query=token, limit=5, cursor="").json()
    seen = [result["rank"] for result in answer["results"]]
    while answer["next"]:
        answer = sent(api, query=token, limit=5, cursor=answer["next"]).json()
        seen += [result["rank"] for result in answer["results"]]
    assert seen == list(range(1, 13))


def test_a_search_by_token_is_no_search_by_photo_for_the_rates(
    api: APIClient, rainbow: list[Product], use_settings: Any
) -> None:
    use_settings(PHOTO_RATE="1/min", SIMILAR_RATE="3/min")
    token = raw(api, PICTURE).json()["query"]
    throttled = raw(api, PICTURE)
    assert refused(throttled) == (429, "throttled")
    assert int(throttled["Retry-After"]) > 0
    assert refused(sent(api, image=TEXT, query="")) == (429, "throttled")
    assert [sent(api, query=token).status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({}, 400, "image_required"),
        ({"image": None}, 400, "image_required"),
        ({"image": 5}, 400, "invalid_base64"),
        ({"image": ["aGVsbG8="]}, 400, "invalid_base64"),
        ({"image": "not base64!"}, 400, "invalid_base64"),
        ({"image": "aGVsbG8"}, 400, "invalid_base64"),
        ({"image": "ümlaut"}, 400, "invalid_base64"),
        ({"image": ""}, 400, "not_an_image"),
        ({"image": "aGVsbG8="}, 400, "not_an_image"),
        ({"image": TEXT, "limit": "many"}, 400, "invalid_limit"),
        ({"image": TEXT, "limit": 1.5}, 400, "invalid_limit"),
        ({"image": TEXT, "size": 5}, 400, "invalid_filter"),
        ({"image": TEXT, "colour": {"is": "red"}}, 400, "parse_error"),
        ({"image": TEXT, "colour": "\ud800"}, 400, "parse_error"),
        ({"image": TEXT, "box": "0,0,1"}, 400, "invalid_box"),
        ({"image": TEXT, "box": [0, 0, 2, 2]}, 400, "invalid_box"),
        ({"image": TEXT, "fold": "perhaps"}, 400, "invalid_option"),
        ({"image": TEXT, "diversity": "much"}, 400, "invalid_option"),
        ({"image": TEXT, "facets": ["price"]}, 400, "invalid_option"),
        ({"image": TEXT, "query": "x"}, 400, "invalid_option"),
        ({"image": TEXT, "cursor": "x"}, 400, "invalid_cursor"),
        ({"image": TEXT, "like": [0]}, 400, "unknown_product"),
        ({"query": "x"}, 400, "invalid_query"),
    ],
)
def test_what_is_refused(
    api: APIClient, rainbow: list[Product], members: dict[str, Any], status: int, code: str
) -> None:
    assert refused(sent_as(api, json.dumps(members))) == (status, code)


def sent_as(api: APIClient, text: str | bytes) -> Any:
    return api.post(ADDRESS, text, content_type="application/json")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "[" * 100_000, '{"limit": NaN}', b'{"image": "\xff"}', "1" * 5000]
)
def test_json_that_is_none(api: APIClient, rainbow: list[Product], text: str | bytes) -> None:
    status, code = refused(sent_as(api, text))
    assert status == 400
    assert code in {"parse_error", "image_required"}


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("image/jpeg", 25 * 1024**2),
        ("application/json", 25 * 1024**2 * 4 // 3 + FORM_OVERHEAD),
        ("multipart/form-data; boundary=x", 25 * 1024**2 + FORM_OVERHEAD),
    ],
)
def test_a_body_over_its_limit_is_refused_before_it_is_read(kind: str, limit: int) -> None:
    class Unread:
        def read(self, *args: Any) -> bytes:
            raise AssertionError("the body was read")

    request = RequestFactory().post(ADDRESS, content_type=kind)
    request.META |= {"CONTENT_LENGTH": str(limit + 1), "wsgi.input": Unread()}
    response = SearchView.as_view()(request, source="product").render()
    assert (response.status_code, response.data["code"]) == (413, "file_too_large")


def test_a_picture_over_the_limit_in_json(api: APIClient, rainbow: list[Product], use_settings: Any) -> None:
    use_settings(MAX_BYTES=len(PICTURE))
    assert sent(api, image=TEXT).status_code == 200
    use_settings(MAX_BYTES=len(PICTURE) - 1)
    assert refused(sent(api, image=TEXT)) == (413, "file_too_large")
    assert refused(raw(api, PICTURE)) == (413, "file_too_large")
