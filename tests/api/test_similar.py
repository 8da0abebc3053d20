"""GET similar and state: what they show, in which order, and what they keep to themselves."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.serializers import Serializer
from rest_framework.test import APIClient

from catalog.models import Product, ProductImage
from tests import shelf
from tests.goods.models import Garment, Poster, PosterScan
from visualsearch.models import ImageEmbedding, VisualIndex

pytestmark = pytest.mark.django_db


def similar(key: Any, source: str = "product") -> str:
    return f"/api/visualsearch/{source}/{key}/similar/"


def state(key: Any, source: str = "product") -> str:
    return f"/api/visualsearch/{source}/{key}/state/"


def found(answer: dict[str, Any]) -> list[Any]:
    return [result["product"]["id"] for result in answer["results"]]


def test_a_page_of_results(api: APIClient, rainbow: list[Product]) -> None:
    response = api.get(similar(rainbow[0].pk), {"limit": 3})
    assert response.status_code == 200
    answer = response.json()
    assert (answer["state"], answer["reason"], answer["count"]) == ("ready", "", 3)
    assert [result["rank"] for result in answer["results"]] == [1, 2, 3]
    distances = [result["distance"] for result in answer["results"]]
    assert distances == sorted(distances)
    assert 0 < distances[0] < 0.1
    assert [result["score"] for result in answer["results"]] == pytest.approx(
        [100 - 100 * d for d in distances], abs=0.06
    )
    nearest = rainbow[1]
    image = nearest.images.get()
    first = answer["results"][0]
    assert first["product"] == {
        "id": nearest.pk,
        "sku": nearest.sku,
        "title": nearest.title,
        "price": f"{nearest.price:.2f}",
        "stock": 1,
        "colour": "",
        "category": "goods",
        "url": f"/products/{nearest.pk}/",
    }
    assert first["image"] == {"id": image.pk, "url": f"http://testserver{image.image.url}"}
    assert found(answer)[1] == rainbow[2].pk


def test_without_a_calibration_scores_are_null(api: APIClient, rainbow: list[Product]) -> None:
    VisualIndex.objects.update(calibration=None)
    answer = api.get(similar(rainbow[0].pk), {"limit": 2}).json()
    assert [result["score"] for result in answer["results"]] == [None, None]
    assert found(answer) == [rainbow[1].pk, rainbow[2].pk]


def test_the_default_number_of_results(api: APIClient, rainbow: list[Product], use_settings: Any) -> None:
    use_settings(DEFAULT_LIMIT=4)
    assert api.get(similar(rainbow[0].pk)).json()["count"] == 4


def test_one_result_a_product_with_its_nearest_image(api: APIClient) -> None:
    query = shelf.make_product(shelf.picture((250, 0, 0)))
    other = shelf.make_product(shelf.picture((0, 0, 250)), shelf.picture((240, 0, 0)))
    shelf.index_everything()
    answer = api.get(similar(query.pk)).json()
    assert found(answer) == [other.pk]
    assert answer["results"][0]["image"]["id"] == other.images.get(position=1).pk


@pytest.mark.parametrize("limit", ["abc", "0", "-1", "1000", "", "1.5", "1e1", "٣", " 3", "9" * 5000, "\0"])
def test_limits_that_are_none(api: APIClient, rainbow: list[Product], limit: str) -> None:
    response = api.get(similar(rainbow[0].pk), {"limit": limit})
    assert response.status_code == 400
    assert response.json()["code"] == "invalid_limit"
    assert "from 1 to 100" in response.json()["detail"]


def test_the_shops_filters(api: APIClient, rainbow: list[Product]) -> None:
    Product.objects.filter(pk__in=[rainbow[7].pk, rainbow[9].pk]).update(colour="teal")
    Product.objects.filter(pk=rainbow[4].pk).update(colour="rust")
    assert found(api.get(similar(rainbow[0].pk), {"colour": "teal"}).json()) == [rainbow[7].pk, rainbow[9].pk]
    both = api.get(similar(rainbow[0].pk), {"colour": ["teal", "rust"]}).json()
    assert found(both) == [rainbow[4].pk, rainbow[7].pk, rainbow[9].pk]
    assert api.get(similar(rainbow[0].pk), {"price_max": "0.5"}).json()["count"] == 0
    Product.objects.filter(pk=rainbow[3].pk).update(category=shelf.category("Hats"))
    assert found(api.get(similar(rainbow[0].pk), {"category": "hats"}).json()) == [rainbow[3].pk]
    assert api.get(similar(rainbow[0].pk), {"category": ["hats", "goods"]}).json()["count"] == 11


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"size": "L"}, "Unknown filter: size. Valid filters: category, colour"),
        ({"product__is_published": "0"}, "Unknown filter"),
        ({"pk__in": "1) OR 1=1 --"}, "Unknown filter"),
        ({"category": "' OR '1'='1"}, "category:"),
        ({"category": "nowhere"}, "category:"),
        ({"colour": "x\0y"}, "colour"),
        ({"price_min": "cheap"}, "price_min:"),
        ({"price_min": "NaN"}, "price_min:"),
        ({"price_max": "1e400000"}, "price_max"),
        ({"price_max": "-1e400000"}, "price_max"),
    ],
)
def test_filters_that_are_none(api: APIClient, rainbow: list[Product], filters: dict[str, str], said: str) -> None:
    response = api.get(similar(rainbow[0].pk), filters)
    assert response.status_code == 400, response.content
    assert response.json()["code"] == "invalid_filter"
    assert said in response.json()["detail"]
    assert "SELECT" not in response.json()["detail"]


def test_filters_that_are_none_for_a_product_that_waits(api: APIClient) -> None:
    product = shelf.make_product(shelf.picture())
    assert api.get(similar(product.pk), {"size": "L"}).json()["code"] == "invalid_filter"
    assert api.get(similar(product.pk), {"price_min": "1"}).json()["state"] == "pending"


def test_parameters_of_the_framework_are_no_filters(api: APIClient, rainbow: list[Product]) -> None:
    assert api.get(similar(rainbow[0].pk), {"format": "json", "limit": "1"}).status_code == 200


def test_a_source_without_filters_says_so(api: APIClient, another_source: Any) -> None:
    source = another_source(Garment, "garment", image="photo")
    garment = Garment.objects.create(name="Coat", photo=shelf.upload(shelf.picture()))
    shelf.index_everything(source)
    response = api.get(similar(garment.pk, "garment"), {"colour": "red"})
    assert response.json()["detail"] == "Unknown filter: colour. This source has no filters."


def test_eligible_is_asked_each_time(api: APIClient, rainbow: list[Product]) -> None:
    assert found(api.get(similar(rainbow[0].pk), {"limit": 1}).json()) == [rainbow[1].pk]
    Product.objects.filter(pk=rainbow[1].pk).update(is_published=False)
    assert found(api.get(similar(rainbow[0].pk), {"limit": 1}).json()) == [rainbow[2].pk]


@pytest.mark.parametrize("address", [similar, state])
def test_what_may_not_be_shown_is_not_there(api: APIClient, rainbow: list[Product], address: Any) -> None:
    """A hidden product, one that never was and a key of the wrong type give the same answer, byte for byte."""
    Product.objects.filter(pk=rainbow[0].pk).update(is_published=False)
    keys = [rainbow[0].pk, 99999999, "abc", "1.5", 10**30, "9" * 5000, "-1", "1%00", "%FF", "a/b", "' OR 1=1"]
    responses = [api.get(address(key)) for key in keys]
    assert {response.status_code for response in responses} == {404}
    assert {response.content for response in responses} == {responses[0].content}
    assert responses[0].json() == {"code": "not_found", "detail": "There is no such product."}
    broken = {api.get(address(key), {"limit": "abc", "size": "L"}).content for key in keys}
    assert broken == {responses[0].content}


def test_a_source_that_is_none(api: APIClient) -> None:
    for address in (similar(1, "shoe"), state(1, "shoe")):
        response = api.get(address)
        assert response.status_code == 404
        assert response.json()["code"] == "unknown_source"


def test_keys_that_are_uuids(api: APIClient, another_source: Any) -> None:
    eligible = Garment.objects.filter(shown=True).all
    source = another_source(Garment, "garment", image="photo", eligible=eligible)
    coat, scarf = (
        Garment.objects.create(name=name, photo=shelf.upload(shelf.picture(shelf.shade(number))))
        for number, name in enumerate(["Coat", "Scarf"])
    )
    shelf.index_everything(source)
    answer = api.get(similar(coat.pk, "garment")).json()
    assert answer["results"][0]["product"] == {"id": str(scarf.pk), "str": "Scarf"}  # no serializer was registered
    assert answer["results"][0]["image"]["id"] == str(scarf.pk)
    unknown = api.get(similar(uuid.uuid4(), "garment"))
    malformed = api.get(similar("not-a%0Auuid", "garment"))
    assert (unknown.status_code, unknown.content) == (malformed.status_code, malformed.content)
    assert unknown.status_code == 404


def test_keys_that_are_text(api: APIClient, another_source: Any) -> None:
    source = another_source(PosterScan, "poster", image="scan", product="poster")
    for number, code in enumerate(["art/déco", "jazz?"]):
        poster = Poster.objects.create(code=code)
        scan = shelf.upload(shelf.picture(shelf.shade(number)))
        PosterScan.objects.create(key=f"scan {number}", poster=poster, scan=scan)
    shelf.index_everything(source)
    answer = api.get(similar("art/déco", "poster")).json()
    assert answer["results"][0]["product"]["id"] == "jazz?"
    assert api.get(similar("jazz%3F", "poster")).json()["results"][0]["product"]["id"] == "art/déco"
    nul = api.get(similar("jazz%00", "poster"))
    assert (nul.status_code, nul.json()["code"]) == (404, "not_found")


def test_a_picture_without_an_address(api: APIClient, rainbow: list[Product], monkeypatch: Any) -> None:
    storage = ProductImage._meta.get_field("image").storage  # type: ignore[union-attr]
    monkeypatch.setattr(storage, "base_url", None)
    answer = api.get(similar(rainbow[0].pk), {"limit": 1}).json()
    assert answer["results"][0]["image"]["url"] is None


def test_a_product_that_waits(api: APIClient) -> None:
    product = shelf.make_product(shelf.picture())
    answer = api.get(similar(product.pk))
    assert answer.status_code == 200
    assert answer.json() == {
        "state": "pending",
        "reason": "The product's images wait to be indexed.",
        "count": 0,
        "results": [],
    }
    assert api.get(state(product.pk)).json() == {
        "state": "pending",
        "reason": "The product's images wait to be indexed.",
        "images": 1,
        "indexed": 0,
    }
    shelf.index_everything()
    ready = {"state": "ready", "reason": "", "images": 1, "indexed": 1}
    assert api.get(state(product.pk)).json() == ready


def test_a_product_without_an_image(api: APIClient) -> None:
    product = shelf.make_product()
    assert api.get(similar(product.pk)).json()["state"] == "no_image"
    assert api.get(state(product.pk)).json()["state"] == "no_image"


def test_a_product_whose_image_was_refused(api: APIClient) -> None:
    product = shelf.make_product(b"this is a text")
    shelf.index_everything()
    for address in (similar(product.pk), state(product.pk)):
        answer = api.get(address).json()
        assert answer["state"] == "failed"
        assert answer["reason"] == "The file is not an image of a known format."


def test_what_a_storage_said_is_not_told(api: APIClient) -> None:
    product = shelf.make_product(shelf.picture())
    shelf.index_everything()
    said = "ClientError: bucket shop-secret at s3.internal:9000 refused /srv/keys"
    ImageEmbedding.objects.update(state="failed", code="storage_error", reason=said, vector=None)
    for address in (similar(product.pk), state(product.pk)):
        response = api.get(address)
        assert response.json()["state"] == "failed"
        assert response.json()["reason"] == "The product's image file could not be read."
        assert b"secret" not in response.content


def test_the_number_of_queries_does_not_grow_with_the_page(api: APIClient) -> None:
    """One to find the product, one for its vectors, one for the page with its products and categories."""
    for number in range(55):
        shelf.make_product(shelf.picture((number * 4, 255 - number * 4, 90)), category=shelf.category(f"Kind{number}"))
    shelf.index_everything()
    product = Product.objects.order_by("pk")[0]
    counts = {}
    for limit in (1, 12, 50):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = api.get(similar(product.pk), {"limit": limit}).json()
        assert answer["count"] == limit
        assert len({result["product"]["category"] for result in answer["results"]}) == limit
        counts[limit] = len(queries)
    assert counts == {1: 3, 12: 3, 50: 3}


class Labelled(Serializer[Any]):
    """A shop's serializer that wants the request and the view."""

    def to_representation(self, product: Any) -> dict[str, Any]:
        request, view = self.context["request"], self.context["view"]
        assert self.context["format"] is None
        return {"id": product.pk, "href": request.build_absolute_uri("/p"), "by": type(view).__name__}


def test_the_serializer_gets_the_usual_context(api: APIClient, another_source: Any) -> None:
    source = another_source(Garment, "garment", image="photo", serializer=f"{__name__}.Labelled")
    garments = [Garment.objects.create(photo=shelf.upload(shelf.picture(shelf.shade(n)))) for n in range(2)]
    shelf.index_everything(source)
    answer = api.get(similar(garments[0].pk, "garment")).json()
    shown = {"id": str(garments[1].pk), "href": "http://testserver/p", "by": "SimilarView"}
    assert answer["results"][0]["product"] == shown
