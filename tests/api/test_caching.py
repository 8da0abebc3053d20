"""An answer is right when it is given; nobody may show it again without asking."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.serializers import Serializer
from rest_framework.test import APIClient

from catalog.models import Product
from tests import shelf
from tests.goods.models import Garment

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(rainbow: list[Product]) -> str:
    return f"/api/visualsearch/product/{rainbow[0].pk}/similar/"


def test_similar_products_are_revalidated(api: APIClient, address: str) -> None:
    response = api.get(address)
    assert response["Cache-Control"] == "private, no-cache"
    assert response["ETag"].startswith('"')
    assert "Accept" in response["Vary"]
    again = api.get(address, HTTP_IF_NONE_MATCH=response["ETag"])
    assert again.status_code == 304
    assert again.content == b""
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again[name] == response[name]


@pytest.mark.parametrize("sent", ["W/{}", '"other", {}', "*"])
def test_other_ways_to_name_what_one_holds(api: APIClient, address: str, sent: str) -> None:
    etag = api.get(address)["ETag"]
    assert api.get(address, HTTP_IF_NONE_MATCH=sent.format(etag)).status_code == 304


@pytest.mark.parametrize("sent", ['"other"', "rubbish", '""'])
def test_what_one_does_not_hold_is_sent(api: APIClient, address: str, sent: str) -> None:
    assert api.get(address, HTTP_IF_NONE_MATCH=sent).status_code == 200


@pytest.mark.parametrize("change", [{"price": "1.99"}, {"is_published": False}, {"stock": 0}])
def test_a_change_in_the_shop_shows_at_once(
    api: APIClient, address: str, rainbow: list[Product], change: dict[str, Any]
) -> None:
    etag = api.get(address)["ETag"]
    Product.objects.filter(pk=rainbow[1].pk).update(**change)
    response = api.get(address, HTTP_IF_NONE_MATCH=etag)
    assert response.status_code == 200
    assert response["ETag"] != etag


def test_a_product_that_is_taken_away_is_not_kept(api: APIClient, address: str, rainbow: list[Product]) -> None:
    etag = api.get(address)["ETag"]
    Product.objects.filter(pk=rainbow[0].pk).update(is_published=False)
    gone = api.get(address, HTTP_IF_NONE_MATCH=etag)
    assert gone.status_code == 404
    assert gone["Cache-Control"] == "no-store"  # a 404 is cacheable by default (RFC 9110, 15.1)
    assert not gone.has_header("ETag")


def test_head_has_the_headers_of_get(api: APIClient, address: str) -> None:
    head, get = api.head(address), api.get(address)
    assert head.status_code == 200
    assert (head["ETag"], head["Cache-Control"]) == (get["ETag"], get["Cache-Control"])


class Personal(Serializer[Any]):
    """Shows each user something else, as member prices are."""

    def to_representation(self, product: Any) -> dict[str, Any]:
        return {"id": product.pk, "for": str(self.context["request"].user)}


def test_one_users_answer_does_not_pass_for_anothers(api: APIClient, another_source: Any) -> None:
    """A browser that two people use has one cache, and asks with the first one's ETag."""
    source = another_source(Garment, "garment", image="photo", serializer=Personal)
    garments = [Garment.objects.create(photo=shelf.upload(shelf.picture(shelf.shade(n)))) for n in range(2)]
    shelf.index_everything(source)
    address = f"/api/visualsearch/garment/{garments[0].pk}/similar/"
    visitors = api.get(address)
    assert "private" in visitors["Cache-Control"]
    api.force_login(User.objects.create_user("ann"))
    anns = api.get(address, HTTP_IF_NONE_MATCH=visitors["ETag"])
    assert anns.status_code == 200
    assert anns.json()["results"][0]["product"]["for"] == "ann"


def test_states_and_photos_are_not_stored(api: APIClient, rainbow: list[Product]) -> None:
    state = api.get(f"/api/visualsearch/product/{rainbow[0].pk}/state/")
    image = shelf.upload(shelf.picture())
    search = api.post("/api/visualsearch/product/search/", {"image": image}, format="multipart")
    for response in (state, search):
        assert response.status_code == 200
        assert response["Cache-Control"] == "no-store"
        assert not response.has_header("ETag")
