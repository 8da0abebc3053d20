"""Over real HTTP, with MobileNetV2's real weights and real photographs."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from django.test.client import encode_multipart

from tests import shelf
from tests.encoders.built import real_settings

BOUNDARY = "----real"


def one_of_each(clothing: list[Path], number: int) -> dict[str, Path]:
    """The ``number``-th photograph of each class of clothes."""
    classes: dict[str, list[Path]] = {}
    for path in clothing:
        classes.setdefault(path.parent.name, []).append(path)
    return {name: paths[number] for name, paths in classes.items()}


@pytest.fixture
def shop(transactional_db: None, use_settings: Any, clothing: list[Path]) -> dict[str, Any]:
    """A shop with one product for each class, indexed by the real network."""
    use_settings(**real_settings("mobilenet_v2_compact"))
    products = {
        name: shelf.make_product(path.read_bytes(), title=name, category=shelf.category(name))
        for name, path in one_of_each(clothing, 0).items()
    }
    shelf.index_everything()
    return products


def post(live_server: Any, path: Path, **fields: str) -> Any:
    with path.open("rb") as file:
        body = encode_multipart(BOUNDARY, {"image": file, **fields})
    request = Request(f"{live_server.url}/api/visualsearch/product/search/", body)
    request.add_header("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    with urlopen(request, timeout=30) as response:
        return json.load(response)


def test_a_photograph_finds_its_product(live_server: Any, shop: dict[str, Any], clothing: list[Path]) -> None:
    path = one_of_each(clothing, 0)["dress"]
    answer = post(live_server, path, limit="3")
    assert answer["count"] == 3
    first = answer["results"][0]
    assert first["product"]["title"] == "dress"
    assert first["distance"] < 0.001
    assert first["image"]["url"].startswith(f"{live_server.url}/media/products/")
    others = post(live_server, path, category="hat")
    assert [result["product"]["title"] for result in others["results"]] == ["hat"]


def test_similar_products_over_http(live_server: Any, shop: dict[str, Any]) -> None:
    address = f"{live_server.url}/api/visualsearch/product/{shop['dress'].pk}/similar/"
    with urlopen(address, timeout=30) as response:
        answer = json.load(response)
        etag = response.headers["ETag"]
    titles = {result["product"]["title"] for result in answer["results"]}
    assert titles == set(shop) - {"dress"}
    connection = http.client.HTTPConnection(urlsplit(live_server.url).netloc, timeout=30)
    connection.request("GET", urlsplit(address).path, headers={"If-None-Match": etag})
    assert connection.getresponse().status == 304
    connection.close()


def test_ten_gigabytes_are_refused_before_they_are_sent(live_server: Any) -> None:
    connection = http.client.HTTPConnection(urlsplit(live_server.url).netloc, timeout=10)
    connection.putrequest("POST", "/api/visualsearch/product/search/")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(10 * 1024**3))
    connection.endheaders()
    response = connection.getresponse()  # nothing of the body was sent
    assert response.status == 413
    assert json.load(response)["code"] == "file_too_large"
    connection.close()
