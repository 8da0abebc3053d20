"""The package's two pages: similar products, and search by photo."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image

from catalog.models import Product
from tests import shelf
from tests.storefront.test_shop import titles
from visualsearch.models import VisualIndex

PHOTO = "/visual-search/product/photo/"


def similar(product: Product, query: str = "") -> str:
    return f"/visual-search/product/{product.pk}/similar/{query}"


def post(client: Client, content: bytes | None, **fields: Any) -> Any:
    image = {} if content is None else {"image": SimpleUploadedFile("photo.jpg", content)}
    return client.post(PHOTO, {**image, **fields})


def test_similar_shows_what_was_searched_beside_what_was_found(client: Client, products: list[Product]) -> None:
    page = client.get(similar(products[5]))
    assert set(titles(page)[:2]) == {"Goods 4", "Goods 6"}
    searched = page.content.decode().split('class="visualsearch-query"')[1].split("</aside>")[0]
    assert f'<a href="/product/{products[5].pk}/">Goods 5</a>' in searched
    assert searched.count("<img") == 1


def test_filters_give_a_full_page(client: Client, products: list[Product]) -> None:
    page = client.get(similar(products[0], "?colour=Colour+2&limit=4"))
    assert sorted(titles(page)) == ["Goods 11", "Goods 2", "Goods 5", "Goods 8"]
    html = page.content.decode()
    assert re.search('name="colour" value="Colour 2" checked', html)
    assert '<input type="hidden" name="limit" value="4">' in html  # the next request keeps it


def test_fields_left_empty_and_foreign_names_filter_nothing(client: Client, products: list[Product]) -> None:
    page = client.get(similar(products[0], "?category=&colour=&price_min=&utm_source=mail"))
    assert len(titles(page)) == len(products) - 1


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?price_min=cheap", "Enter a number"),
        ("?category=nowhere", "not understood"),
        ("?limit=0", "So many results"),
        ("?limit=many", "So many results"),
        ("?limit=" + "9" * 5000, "So many results"),
    ],
)
def test_wrong_values_are_answered(client: Client, products: list[Product], query: str, sentence: str) -> None:
    page = client.get(similar(products[0], query))
    assert page.status_code == 400
    assert sentence in page.content.decode()


@pytest.mark.parametrize("pk", ["999999", "x", "9" * 40, "1%00", "-1"])
def test_no_such_product(client: Client, products: list[Product], pk: str) -> None:
    assert client.get(f"/visual-search/product/{pk}/similar/").status_code == 404


def test_no_such_source(client: Client, db: None) -> None:
    assert client.get("/visual-search/nothing/1/similar/").status_code == 404
    assert client.get("/visual-search/nothing/photo/").status_code == 404


def test_each_state_has_its_sentence(client: Client, products: list[Product]) -> None:
    fresh = shelf.make_product(shelf.picture())
    assert "are being looked at" in client.get(similar(fresh)).content.decode()
    assert "no picture yet" in client.get(similar(shelf.make_product())).content.decode()
    broken = shelf.make_product(b"no picture at all")
    shelf.index_everything()
    assert "could not be read" in client.get(similar(broken)).content.decode()
    nothing = client.get(similar(products[0], "?price_min=900000")).content.decode()
    assert "Nothing similar passes these filters" in nothing
    Product.objects.exclude(pk=products[0].pk).update(is_published=False)
    assert "Nothing in this shop looks like it" in client.get(similar(products[0])).content.decode()


def test_page_costs_the_same_however_many_results(client: Client, products: list[Product]) -> None:
    def queries(limit: int) -> int:
        client.get(similar(products[0], f"?limit={limit}"))
        with CaptureQueriesContext(connection) as captured:
            client.get(similar(products[0], f"?limit={limit}"))
        return len([q for q in captured if "SAVEPOINT" not in q["sql"]])

    assert queries(1) == queries(11) <= 10


def test_missing_tables_give_a_page_that_says_so(client: Client, products: list[Product]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE visualsearch_imageembedding RENAME TO elsewhere")
    page = client.get(similar(products[0]))
    assert page.status_code == 503
    assert "out of order" in page.content.decode()
    photo = post(client, shelf.picture())
    assert photo.status_code == 503
    assert "out of order" in photo.content.decode()


def test_photo_page_is_a_form(client: Client, products: list[Product]) -> None:
    html = client.get(PHOTO).content.decode()
    assert '<input type="file" name="image"' in html
    assert "Show products" not in html  # there is nothing to filter yet


def test_photo_finds_its_product_and_is_shown_beside_it(client: Client, products: list[Product], media: Path) -> None:
    before = sorted(media.rglob("*"))
    page = post(client, shelf.picture(shelf.shade(7), size=(1200, 900), kind="JPEG"))
    assert page.status_code == 200
    assert titles(page)[0] == "Goods 7"
    source = re.search(r'src="data:image/jpeg;base64,([^"]+)" width="240" height="180"', page.content.decode())
    assert source is not None
    with Image.open(io.BytesIO(base64.b64decode(source[1]))) as shown:
        assert shown.size == (480, 360)
    kept = [path for path in sorted(media.rglob("*")) if path not in before and "q82" not in path.name]
    assert kept == []  # nothing but thumbnails of the products
    assert "no-store" in page.headers["Cache-Control"]


def test_photo_with_filter_and_limit(client: Client, products: list[Product]) -> None:
    chair = shelf.make_product(shelf.picture(), title="Chair", category=shelf.category("Furniture"))
    shelf.index_everything()
    page = post(client, shelf.picture(), category="furniture", limit="3")
    assert titles(page) == [chair.title]
    assert 'name="category" value="furniture" checked' in page.content.decode()
    assert len(titles(post(client, shelf.picture(), category="", limit="3"))) == 3
    assert post(client, shelf.picture(), limit="-3").status_code == 400
    assert post(client, shelf.picture(), category="nowhere").status_code == 400


def noise(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "changed", "status", "sentence"),
    [
        (None, {}, 400, "No photo arrived"),
        (b"GIF is not", {}, 400, "not a picture"),
        (b"", {}, 400, "No photo arrived|not a picture"),
        (noise(300, 300)[:9000], {}, 400, "incomplete or damaged"),
        (noise(300, 300), {"MAX_BYTES": 5000}, 413, "larger than"),
        (noise(300, 300), {"MAX_PIXELS": 5000, "MAX_JPEG_PIXELS": 5000}, 400, "more pixels"),
        (shelf.picture(size=(8, 8)), {}, 400, "too small"),
        (shelf.picture(kind="PNG"), {"IMAGE_FORMATS": ("JPEG",)}, 400, "not accepted"),
    ],
    ids=["none", "text", "empty", "cut off", "too large", "too many pixels", "too small", "format"],
)
def test_each_refusal_has_its_sentence_and_a_next_step(
    client: Client,
    products: list[Product],
    use_settings: Any,
    content: bytes | None,
    changed: Any,
    status: int,
    sentence: str,
) -> None:
    use_settings(**changed)
    page = post(client, content)
    html = page.content.decode()
    assert page.status_code == status
    found = re.search(r'role="alert">\s*<p>([^<]+)</p>\s*<p>([^<]+)</p>', html)
    assert found is not None
    assert re.search(sentence, found[1])
    assert found[2].endswith(".")
    assert titles(page) == []
    assert '<input type="file"' in html  # to try again


def test_photo_before_anything_is_indexed(client: Client, db: None) -> None:
    html = post(client, shelf.picture()).content.decode()
    assert "Search again in a minute" in html
    assert "data:image/jpeg" in html


def test_encoder_that_is_not_the_index_s(client: Client, products: list[Product], caplog: Any) -> None:
    VisualIndex.objects.update(fingerprint="0" * 64)
    page = post(client, shelf.picture())
    assert page.status_code == 503
    assert "out of order" in page.content.decode()
    assert "fa4efa4efa4e" in caplog.text
    assert client.get(similar(products[0])).status_code == 200  # needs no encoder


def test_post_without_token_is_refused(products: list[Product]) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert post(strict, shelf.picture()).status_code == 403
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', strict.get(PHOTO).content.decode())
    assert token is not None
    assert post(strict, shelf.picture(), csrfmiddlewaretoken=token[1]).status_code == 200


def test_hostile_title_and_file_name(client: Client, products: list[Product]) -> None:
    Product.objects.filter(pk=products[0].pk).update(title="<script>alert(1)</script>")
    html = client.get(similar(products[0])).content.decode()
    assert "<script>alert" not in html
    assert "<title>Similar to &lt;script&gt;" in html
    image = SimpleUploadedFile("<img onerror=x>.jpg", shelf.picture())
    assert "onerror" not in client.post(PHOTO, {"image": image}).content.decode()


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods(client: Client, products: list[Product], method: str) -> None:
    assert getattr(client, method)(PHOTO).status_code == 405
    assert client.post(similar(products[0])).status_code == 405
