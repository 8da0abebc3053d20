"""What follows a photo search goes on with its token: filters, order, pages, marks. htmx asks for parts of the page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Product
from tests import shelf
from tests.storefront.test_search_pages import PHOTO, post, similar
from tests.storefront.test_shop import titles

HTMX = {"HX-Request": "true"}


def hidden(response: Any) -> dict[str, list[str]]:
    """The fields that a browser without scripts sends with the form of filters."""
    form = re.search(r'<form class="visualsearch-refine".*?</form>', response.content.decode(), re.S)
    assert form is not None
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[0]):
        fields.setdefault(name, []).append(value)
    return fields


def value_of(response: Any, name: str) -> str:
    """The value of the page's first button of this name."""
    found = re.search(rf'name="{name}" value="([^"]+)"', response.content.decode())
    assert found is not None, name
    return found[1]


@pytest.fixture
def found(client: Client, products: list[Product]) -> Any:
    return post(client, shelf.picture(shelf.shade(3)), limit="4")


def test_pages_hold_each_product_once(client: Client, found: Any) -> None:
    seen = titles(found)
    page = found
    while 'name="cursor"' in page.content.decode():
        page = client.post(PHOTO, {**hidden(page), "cursor": value_of(page, "cursor")})
        assert "Back to the beginning" in page.content.decode()
        seen += titles(page)
    assert seen[0] == "Goods 3"
    assert sorted(seen) == sorted(Product.objects.values_list("title", flat=True))


def test_marks_are_kept_and_can_be_taken_back(client: Client, products: list[Product], found: Any) -> None:
    page = client.post(PHOTO, {**hidden(found), "more_like": products[11].pk})
    page = client.post(PHOTO, {**hidden(page), "less_like": products[3].pk})
    html = page.content.decode()
    assert "More like Goods 11" in html
    assert "Less like Goods 3" in html
    assert hidden(page)["like"] == [str(products[11].pk)]
    assert not {"Goods 3", "Goods 11"} & set(titles(page))
    assert "data:image/jpeg;base64" in html  # the photo is shown again, though the server has kept nothing
    page = client.post(PHOTO, {**hidden(page), "more_like": products[3].pk})  # a change of mind
    assert "unlike" not in hidden(page)
    page = client.post(PHOTO, {**hidden(page), "forget": [products[3].pk, products[11].pk]})
    assert titles(page) == titles(found)


def test_order_by_a_field_of_the_shop(client: Client, products: list[Product], found: Any) -> None:
    page = client.post(PHOTO, {**hidden(found), "sort": "-price"})
    assert titles(page) == ["Goods 11", "Goods 10", "Goods 9", "Goods 8"]
    assert "The 12 most alike, in this order" in page.content.decode()
    page = client.post(PHOTO, {**hidden(page), "sort": "-price", "start": value_of(page, "start")})
    assert titles(page) == ["Goods 7", "Goods 6", "Goods 5", "Goods 4"]
    assert len(titles(client.post(PHOTO, {**hidden(found), "sort": "variety"}))) == 4
    assert client.get(similar(products[0], "?sort=stock")).status_code == 400
    assert titles(client.get(similar(products[5], "?sort=price&limit=3"))) == ["Goods 0", "Goods 1", "Goods 2"]


def test_filters_show_how_many_there_are(client: Client, products: list[Product], found: Any) -> None:
    html = found.content.decode()
    assert re.search(r'value="Colour 1".*?class="visualsearch-count">4<', html)
    chosen = client.post(PHOTO, {**hidden(found), "colour": "Colour 1"})
    assert {title[-1] for title in titles(chosen)} == {"1", "4", "7", "0"}
    assert titles(client.post(PHOTO, {**hidden(chosen), "colour": "Colour 1", "clear": "1"})) == titles(found)
    wrong = client.post(PHOTO, {**hidden(found), "price_min": "cheap"})
    assert wrong.status_code == 400
    assert "Price from: Enter a number" in wrong.content.decode()
    assert hidden(wrong)["query"] == hidden(found)["query"]  # to go on with


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"query": "nonsense"}, "This search cannot go on"),
        ({"cursor": "nonsense"}, "This list has changed"),
        ({"more_like": "999999"}, "is not for sale any more"),
        ({"start": "x", "sort": "price"}, "So many results"),
    ],
)
def test_what_cannot_go_on_says_so(client: Client, found: Any, changes: dict[str, str], sentence: str) -> None:
    page = client.post(PHOTO, {**hidden(found), **changes})
    assert page.status_code == 400
    assert sentence in page.content.decode()


def test_search_is_over_after_half_an_hour(client: Client, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = hidden(found)
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + 31 * 60)
    page = client.post(PHOTO, fields)
    assert page.status_code == 400
    assert "your photo is not kept, so this search is over" in page.content.decode()


def test_forged_copy_of_the_photo_is_not_shown(client: Client, found: Any) -> None:
    page = client.post(PHOTO, {**hidden(found), "shown": signing.dumps({"picture": {"src": "x"}}, salt="other")})
    assert page.status_code == 200
    assert 'alt="Your photo"' not in page.content.decode()


@pytest.mark.parametrize(
    ("target", "has", "has_not"),
    [
        ("visualsearch-answer", "What was searched", "<html"),
        ("visualsearch-results-photo", "Sort by", "What was searched"),
        ("visualsearch-more-photo", "Goods 3", "Sort by"),
    ],
)
def test_parts_that_htmx_asks_for(client: Client, products: list[Product], target: str, has: str, has_not: str) -> None:
    client.defaults |= {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": target}
    page = post(client, shelf.picture(shelf.shade(3)))
    assert has in page.content.decode()
    assert has_not not in page.content.decode()
    assert {"HX-Request", "HX-Target"} <= set(page.headers["Vary"].replace(" ", "").split(","))


def test_dialog_asks_for_the_page_without_its_layout(client: Client, db: None) -> None:
    html = client.get(PHOTO, headers=HTMX).content.decode()
    assert "<html" not in html
    assert '<h2 class="visualsearch-title" id="visualsearch-title">' in html
    restored = client.get(PHOTO, headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<html" in restored.content.decode()


def test_token_costs_no_more_queries_for_more_results(client: Client, found: Any) -> None:
    def queries(limit: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            client.post(PHOTO, {**hidden(found), "limit": limit})
        return len([query for query in captured if "SAVEPOINT" not in query["sql"]])

    queries(12)  # thumbnails are made now
    assert queries(1) == queries(12)


def test_reasons_of_an_encoder_that_cannot_tell(client: Client, products: list[Product], found: Any) -> None:
    image = products[4].images.get().pk
    page = client.post("/visual-search/product/why/", {**hidden(found), "image": image})
    assert page.status_code == 422
    assert "cannot tell which part" in page.content.decode()
    assert client.get(f"/visual-search/product/{products[0].pk}/why/?image={image}").status_code == 422
    assert client.post("/visual-search/product/why/", {"query": "x", "image": image}).status_code == 400
    for wrong in ("", "x", "999999", "1\0"):
        assert client.post("/visual-search/product/why/", {"image": wrong}).status_code == 404
    Product.objects.filter(pk=products[4].pk).update(is_published=False)
    assert client.post("/visual-search/product/why/", {**hidden(found), "image": image}).status_code == 404
