"""The OpenAPI description is valid and says what the API does."""

from __future__ import annotations

import io
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import call_command
from rest_framework.serializers import CharField, Serializer
from rest_framework.test import APIClient

from catalog.models import Product
from tests import shelf
from tests.goods.models import Garment, PosterScan
from visualsearch import exceptions
from visualsearch.api import errors
from visualsearch.search import Wishes

SEARCH = "/api/visualsearch/{source}/search/"
SIMILAR = "/api/visualsearch/{source}/{product}/similar/"
STATE = "/api/visualsearch/{source}/{product}/state/"


def made() -> Any:
    """The schema that ``spectacular --validate --fail-on-warn`` lets pass."""
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    return yaml.safe_load(out.getvalue())


@pytest.fixture
def schema() -> Any:
    return made()


def operation(schema: Any, path: str) -> Any:
    return next(iter(schema["paths"][path].values()))


def documented(schema: Any, path: str) -> dict[str, str]:
    """Each error code of an address with its status."""
    responses = operation(schema, path)["responses"]
    return {
        example["value"]["code"]: status
        for status, response in responses.items()
        if status >= "400"
        for example in response["content"]["application/json"]["examples"].values()
    }


def test_it_is_served(api: APIClient, db: None) -> None:
    response = api.get("/api/schema/", HTTP_ACCEPT="application/vnd.oai.openapi+json")
    assert response.status_code == 200
    assert SEARCH in response.json()["paths"]
    assert api.get("/api/schema/", HTTP_ACCEPT="application/vnd.oai.openapi+json").json() == response.json()


def test_every_error_has_an_example(schema: Any) -> None:
    photo = documented(schema, SEARCH)
    for refusal in exceptions.ImageRefused.__subclasses__():
        status = next(number for kind, number in errors.STATUS.items() if issubclass(refusal, kind))
        assert photo[refusal.code] == str(status)
    own = {error.default_code: error.status_code for error in _own_errors()}
    assert {code: photo[code] for code in own} == {code: str(status) for code, status in own.items()}
    assert {"invalid_filter", "invalid_limit", "unknown_source", "throttled"} <= set(photo)
    assert {"fingerprint_mismatch", "encoder_not_built", "store_error"} <= set(photo)
    assert documented(schema, SIMILAR)["not_found"] == "404"
    assert documented(schema, STATE)["not_found"] == "404"
    assert "not_found" not in photo


def _own_errors() -> list[Any]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]


def test_examples_have_the_shape_that_they_are_examples_of(schema: Any) -> None:
    checked = 0
    for path in (SEARCH, SIMILAR, STATE):
        for response in operation(schema, path)["responses"].values():
            content = response.get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                value = example["value"]
                for result in value.get("results", []):
                    del result["product"]  # the form of a product is the shop's own
                _check(schema, content["schema"]["$ref"], value, without_product=True)
                checked += 1
    assert checked > 40


def _check(schema: Any, reference: str, value: Any, without_product: bool = False) -> None:
    components = {**schema["components"], "schemas": dict(schema["components"]["schemas"])}
    if without_product:
        match = components["schemas"]["VisualSearchMatch"]
        required = [name for name in match["required"] if name != "product"]
        components["schemas"]["VisualSearchMatch"] = {**match, "required": required}
    jsonschema.Draft7Validator({"$ref": reference, "components": components}).validate(value)


@pytest.mark.parametrize("path", [SEARCH, SIMILAR])
def test_the_filters_of_the_shop_are_described(schema: Any, path: str) -> None:
    parameters = {parameter["name"]: parameter for parameter in operation(schema, path)["parameters"]}
    assert parameters["price_max"]["schema"] == {"type": "number"}
    assert parameters["in_stock"]["schema"] == {"type": "boolean"}
    assert parameters["category"]["schema"] == {"type": "array", "items": {"type": "string"}}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 12}
    assert parameters["source"]["schema"]["enum"] == ["product"]
    assert "colour" not in {parameter["name"] for parameter in operation(schema, STATE)["parameters"]}


def test_the_form_is_described(schema: Any) -> None:
    form = operation(schema, SEARCH)["requestBody"]["content"]
    kinds = ["multipart/form-data", "application/json", "application/x-www-form-urlencoded"]
    assert list(form) == [*kinds, "image/jpeg", "image/png", "image/webp"]
    assert form["multipart/form-data"]["schema"]["properties"]["image"]["format"] == "binary"
    assert form["application/json"]["schema"]["properties"]["image"]["format"] == "byte"
    assert form["image/png"]["schema"] == {"type": "string", "format": "binary"}
    for kind in kinds:
        assert {"query", "box", *Wishes.__annotations__} <= set(form[kind]["schema"]["properties"])


@pytest.mark.parametrize("path", [SEARCH, SIMILAR])
def test_the_options_are_described(schema: Any, path: str) -> None:
    parameters = {parameter["name"]: parameter for parameter in operation(schema, path)["parameters"]}
    of_photos = set() if path == SEARCH else {"focus", "objects"}
    assert set(Wishes.__annotations__) & set(parameters) == set(Wishes.__annotations__) - of_photos
    assert parameters["group_by"]["schema"]["enum"] == ["category", "colour"]
    assert parameters["facets"]["schema"]["items"]["enum"] == ["category", "colour"]
    assert parameters["diversity"]["schema"]["maximum"] == 1


def test_answers_are_as_described(schema: Any, api: APIClient, rainbow: list[Product]) -> None:
    pk = rainbow[0].pk
    image = shelf.upload(shelf.picture())
    similar = api.get(SIMILAR.format(source="product", product=pk)).json()
    photo = api.post(SEARCH.format(source="product"), {"image": image}, format="multipart").json()
    for answer in (similar, photo):
        assert answer["results"]
        _check(schema, "#/components/schemas/VisualSearchResults", answer)
    state = api.get(STATE.format(source="product", product=pk)).json()
    _check(schema, "#/components/schemas/VisualSearchState", state)
    missing = api.get(STATE.format(source="product", product=0)).json()
    _check(schema, "#/components/schemas/VisualSearchError", missing)


def test_a_score_may_be_null_and_a_distance_not(schema: Any) -> None:
    match = schema["components"]["schemas"]["VisualSearchMatch"]["properties"]
    assert (match["score"]["minimum"], match["score"]["maximum"], match["score"]["nullable"]) == (0, 100, True)
    assert (match["distance"]["minimum"], match["distance"]["maximum"]) == (0, 2)
    assert "nullable" not in match["distance"]


class GarmentSerializer(Serializer[Any]):
    name = CharField()


def test_several_sources(another_source: Any) -> None:
    another_source(Garment, "garment", image="photo", serializer=GarmentSerializer)
    another_source(PosterScan, "poster", image="scan", product="poster")
    schema = made()
    schemas = schema["components"]["schemas"]
    kinds = {"Product", "Garment", "VisualSearchProduct"}
    product = schemas["VisualSearchMatch"]["properties"]["product"]
    assert {kind["$ref"].rpartition("/")[2] for kind in product["oneOf"]} == kinds
    assert {kind["type"] for kind in schemas["VisualSearchImage"]["properties"]["id"]["oneOf"]} == {
        "integer",
        "string",
    }
    parameters = {parameter["name"]: parameter for parameter in operation(schema, SIMILAR)["parameters"]}
    assert parameters["source"]["schema"]["enum"] == ["garment", "poster", "product"]
    assert parameters["price_max"]["description"] == "Price to Only for: product."


def test_the_demos_own_schema(settings: Any) -> None:
    settings.ROOT_URLCONF = "shop.urls"
    assert {
        f"/api/visualsearch/{{source}}/{path}" for path in ("search/", "{product}/similar/", "{product}/state/")
    } == set(made()["paths"])


def test_making_it_asks_no_database(schema: Any) -> None:
    """Without the ``db`` mark every query is an error; an import of the address table must not need one either."""
    assert schema["paths"]
