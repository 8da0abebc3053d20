"""Texts made to be taken for SQL, paths, addresses or tokens, in every place that a stranger can write to."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Product, ProductImage
from tests import shelf
from tests.security.conftest import Shop
from visualsearch import exceptions
from visualsearch.images import content_hash
from visualsearch.models import ImageEmbedding
from visualsearch.search import Wishes

pytestmark = pytest.mark.django_db
API = "/api/visualsearch/product"
CALM = (200, 400, 404, 410, 413, 415, 422)
SQL = ("'; DROP TABLE catalog_product; --", '") OR 1=1 --', "%s %(x)s \0")
URLS = ("http://127.0.0.1:9/a.jpg", "file:///etc/passwd")
FIELDS = (
    "limit",
    "category",
    "colour",
    "price_min",
    "price_max",
    "in_stock",
    "sort",
    "order",
    "ordering",
    "box",
    "query",
)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nobody gets a connection or an address. The database's are made by libpq, which does not ask Python."""
    asked: list[Any] = []

    def refused(*args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket.socket, "connect_ex", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    return asked


def answers(client: Client, shop: Shop, text: str) -> Iterator[Any]:
    """Answers to requests that hold the text, once in each place."""
    photo = base64.b64encode(shelf.picture()).decode()
    similar, search = f"{API}/{shop.shown[0].pk}/similar/", f"{API}/search/"
    for name in {*FIELDS, *Wishes.__annotations__}:
        yield client.get(similar, {name: text})
        yield client.post(search, {"image": photo, name: text}, content_type="application/json")
    yield client.post(search, {"image": text}, content_type="application/json")
    yield client.post(search, {"image": shelf.upload(text.encode(), name=f"{text}.jpg".replace("\0", ""))})
    yield client.post(search, text.encode(), content_type="image/jpeg")
    for address in (f"/api/visualsearch/{text}/1/similar/", f"{API}/{text}/similar/", f"{API}/{text}/state/"):
        yield client.get(address.replace("\0", "%00"))
    for page in ("/", f"/visual-search/product/{shop.shown[0].pk}/similar/"):
        yield client.get(page, dict.fromkeys(("category", "colour", "price_min", "sort", "page"), text))


def test_text_is_never_sql(shop: Shop, client: Client) -> None:
    """Each is refused by its name or means nothing; the database is asked nothing that it cannot understand."""
    for text in SQL:
        for answer in answers(client, shop, text):
            assert answer.status_code in CALM, (text, answer.content)
    assert Product.objects.count() == len(shop.shown) + 1


@pytest.mark.parametrize("name", ["product'; DROP TABLE x; --", "../%s"])
@pytest.mark.parametrize("command", [["visualsearch_index", "list"], ["visualsearch_status"], ["visualsearch_reindex"]])
def test_names_of_sources_are_looked_up_and_not_run(shop: Shop, command: list[str], name: str) -> None:
    with CaptureQueriesContext(connection) as statements, pytest.raises((CommandError, exceptions.SourceNotRegistered)):
        call_command(*command, source=name)
    assert not [one for one in statements if name in one["sql"]]


def test_no_address_is_ever_fetched(shop: Shop, client: Client, no_network: list[Any], tmp_path: Path) -> None:
    for text in URLS:
        for answer in answers(client, shop, text):
            assert answer.status_code in CALM, (text, answer.content)
    external = (
        b'<!DOCTYPE s [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]><svg xmlns="http://www.w3.org/2000/svg">&x;</svg>'
    )
    assert client.post(f"{API}/search/", external, content_type="image/svg+xml").json()["code"] == "format_not_allowed"
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "good.png").write_bytes(shelf.picture())
    (folder / "link.png").write_text(URLS[0])
    (tmp_path / "list.csv").write_text("path,title\n" + "".join(f"{url},x\n" for url in URLS))
    with pytest.raises(CommandError, match="failed"):
        call_command("catalog_import", folder, csv=tmp_path / "list.csv")
    assert ProductImage.objects.filter(origin__endswith="good.png").count() == 1
    assert no_network == []


def test_paths_lead_nowhere_else(shop: Shop, client: Client, media: Path) -> None:
    """A file's name in an upload, a stored name or the media address opens nothing outside of the media folder."""
    secret = media.parent / "secret.png"
    secret.write_bytes(shelf.picture((1, 2, 3)))
    for name in ("../secret.png", "..%2fsecret.png", "%2e%2e/secret.png", "/etc/passwd", "products/../../secret.png"):
        assert client.get(f"/media/{name}").status_code in (400, 404), name
        answer = client.post(f"{API}/search/", {"image": shelf.upload(shelf.picture(), name=name)})
        assert answer.status_code == 200
    image = shop.shown[0].images.get()
    ProductImage.objects.filter(pk=image.pk).update(image="../secret.png")
    shelf.index_everything()
    row = ImageEmbedding.objects.get(object_id=str(image.pk))
    assert row.content_hash != content_hash(secret.read_bytes())
    assert str(media) not in client.get(f"{API}/{shop.shown[0].pk}/state/").content.decode()


def test_forged_tokens_and_cursors(shop: Shop, client: Client) -> None:
    """Also those of Django's other signatures, whose salt is another, and those whose content is no query."""
    head = json.dumps(["", "product", "x"]).encode() + b"\n"
    contents = (b"\n", b"[]\n", head, head + b"\0", b"{" * 5000, head + b"\0" * 100_000, b"\x80\n")
    texts = [signing.b64_encode(content).decode() for content in contents]
    other = [signing.TimestampSigner(salt="another").sign(text) for text in texts]
    unsigned = [f"{text}:1vMh2T:AAAA" for text in texts]
    for token in [*texts, *other, *unsigned, "::", "a:b:c", "\u202e", "x" * 60_000]:
        answer = client.post(f"{API}/search/", {"query": token}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_query"), token[:80]
        answer = client.get(f"{API}/{shop.shown[0].pk}/similar/", {"cursor": token[:2000] or "x"})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), token[:80]
