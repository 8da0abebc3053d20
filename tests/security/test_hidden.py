"""A product that may not be shown is nowhere: no result, count, facet, token or sentence tells that it is there."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Product
from tests import shelf
from tests.security.conftest import MARK, Shop
from visualsearch.search import Wishes

pytestmark = pytest.mark.django_db
OPTIONS = tuple(Wishes.__annotations__)
API = "/api/visualsearch/product"
# A value of each option with which a hidden product could come out; a new option has to be added here.
ASKED: dict[str, Any] = {
    "cursor": "",
    "fold": "true",
    "diversity": "0.5",
    "min_score": "1",
    "group_by": "colour",
    "guess": "colour,category",
    "facets": "colour,category",
    "include_query": "true",
    "like": None,  # a product's key, below
    "unlike": None,
    "focus": "auto",
    "objects": "true",
    "explain": "true",
}
NEED_FEATURES = {"focus", "objects", "explain"}  # which the encoder of these tests does not give


def hidden_in(answer: Any, shop: Shop) -> bool:
    """Whether an answer of the API says anything of the hidden product."""
    keys = {result["product"]["id"] for result in answer.json().get("results", [])}
    images = {result["image"]["id"] for result in answer.json().get("results", [])}
    own = shop.hidden.images.get()
    return MARK in answer.content.decode() or shop.hidden.pk in keys or own.pk in images


def test_every_option_is_tried() -> None:
    assert set(OPTIONS) <= set(ASKED)


def test_no_answer_holds_it(shop: Shop, client: Client) -> None:
    first, photo = shop.shown[0], base64.b64encode(shop.hidden.images.get().image.read()).decode()
    liked = {"like": shop.shown[1].pk, "unlike": shop.shown[2].pk}
    for names in ([name] for name in OPTIONS):
        given = {name: liked.get(name, ASKED[name]) for name in names}
        found = client.get(f"{API}/{first.pk}/similar/", given)
        sent = client.post(f"{API}/search/", {"image": photo, **given}, content_type="application/json")
        for answer in (found, sent):
            assert answer.status_code == 200 or NEED_FEATURES & set(names), answer.content
            assert not hidden_in(answer, shop), names
    together = {name: value for name, value in ASKED.items() if value is not None and name not in NEED_FEATURES}
    answer = client.get(f"{API}/{first.pk}/similar/", together | {"group_by": ""})
    assert answer.status_code == 200
    assert answer.json()["facets"]["colour"] == [{"value": "red", "count": 6}]  # with the product itself
    assert answer.json()["guess"]["colour"] == {"value": "red", "share": 1.0}
    assert not hidden_in(answer, shop)


def test_no_page_of_a_list_holds_it_or_leaves_a_gap(shop: Shop, client: Client) -> None:
    cursor, ranks = "", []
    while cursor is not None:
        page = client.get(f"{API}/{shop.shown[0].pk}/similar/", {"cursor": cursor, "limit": 2}).json()
        ranks += [result["rank"] for result in page["results"]]
        cursor = page["next"]
    assert ranks == [1, 2, 3, 4, 5]


def test_tokens_hold_nothing_of_products(shop: Shop, client: Client) -> None:
    photo = base64.b64encode(shop.hidden.images.get().image.read()).decode()
    answer = client.post(f"{API}/search/", {"image": photo, "cursor": ""}, content_type="application/json").json()
    content = signing.b64_decode(answer["query"].partition(":")[0].encode())
    head, _, numbers = content.partition(b"\n")
    assert re.fullmatch(rb'\["", "product", "[0-9a-f]+"\]', head)
    assert len(numbers) == 2 * 64  # the photo's vector, in half precision


@pytest.mark.parametrize("address", [f"{API}/%s/similar/", f"{API}/%s/state/", "/visual-search/product/%s/similar/"])
def test_a_hidden_product_costs_what_an_absent_one_does(shop: Shop, client: Client, address: str) -> None:
    """The same answer after the same statements, so that neither text nor time tells which it is."""
    absent = Product.objects.order_by("-pk")[0].pk + 1000
    client.get(address % shop.shown[0].pk)
    seen = []
    for key in (shop.hidden.pk, absent):
        with CaptureQueriesContext(
            connection,
        ) as statements:
            answer = client.get(address % key)
        texts = [re.sub(r"\b\d+\b", "?", statement["sql"]) for statement in statements]
        seen.append((answer.status_code, answer.content.replace(str(key).encode(), b"?"), texts))
    assert seen[0] == seen[1]
    assert seen[0][0] == 404


@pytest.mark.parametrize("option", ["like", "unlike"])
def test_it_is_as_unknown_as_one_that_never_was(shop: Shop, client: Client, option: str) -> None:
    said = []
    for key in (shop.hidden.pk, 99_999_999):
        answer = client.get(f"{API}/{shop.shown[0].pk}/similar/", {option: key})
        said.append((answer.status_code, answer.content.replace(str(key).encode(), b"?")))
    assert said[0] == said[1]
    assert said[0][0] == 400


def test_filters_do_not_know_its_values(shop: Shop, client: Client) -> None:
    """A value that only a hidden product has is refused like one that none has, and no list offers it."""
    said = []
    for colour in (f"{MARK}colour", "zqnowhere"):
        answer = client.get(f"{API}/{shop.shown[0].pk}/similar/", {"colour": colour})
        said.append((answer.status_code, answer.json()["detail"].replace(colour, "?")))
    assert said[0] == said[1]
    for address in ("/", f"/visual-search/product/{shop.shown[0].pk}/similar/", "/visual-search/product/photo/"):
        assert MARK not in client.get(address).content.decode()


def test_shop_pages_do_not_show_it(shop: Shop, client: Client) -> None:
    assert client.get(f"/product/{shop.hidden.pk}/").status_code == 404
    photo = shelf.upload(shop.hidden.images.get().image.read())
    answer = client.post("/visual-search/product/photo/", {"image": photo})
    assert answer.status_code == 200
    assert MARK not in answer.content.decode()


def test_staff_without_permission_see_none_of_it(shop: Shop, client: Client) -> None:
    """Whoever may only enter the admin, or look at something else there, finds no product, row or version."""
    staff = User.objects.create_user("ann", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(staff)
    assert MARK not in client.get("/admin/").content.decode()
    image = shop.hidden.images.get()
    for path in ("catalog/product/", f"catalog/product/{shop.hidden.pk}/change/", "catalog/productimage/"):
        assert client.get(f"/admin/{path}").status_code in (403, 404), path
    for path in ("imageembedding/", "visualindex/", f"imageembedding/?q={MARK}"):
        answer = client.get(f"/admin/visualsearch/{path}")
        assert answer.status_code == 403, path
        assert MARK not in answer.content.decode()
    assert client.get(f"/admin/jsi18n/?{image.pk}").status_code == 200
