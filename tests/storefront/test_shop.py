"""The demo shop's own pages: all products, one product, what is not there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Product, ProductImage
from tests import shelf


def titles(response: Any) -> list[str]:
    return re.findall(r'<p class="card-title"><a href="/product/\d+/">([^<]+)</a>', response.content.decode())


@pytest.fixture
def furniture(products: list[Product]) -> list[Product]:
    return [
        shelf.make_product(
            shelf.picture(), title=f"Chair {n}", category=shelf.category("Furniture"), price=100, stock=n
        )
        for n in range(2)
    ]


def test_list_shows_every_product_with_its_picture(client: Client, products: list[Product]) -> None:
    page = client.get("/")
    assert titles(page) == [f"Goods {n}" for n in reversed(range(len(products)))]
    html = page.content.decode()
    assert html.count("<img") == len(products)
    assert html.count('loading="lazy"') == len(products) - 4  # the first row is seen at once
    assert html.count("/similar/") == len(products)
    assert f"{len(products)} products" in html


def test_list_costs_the_same_however_many_products(client: Client, products: list[Product]) -> None:
    def queries() -> int:
        client.get("/")  # thumbnails are made now
        with CaptureQueriesContext(connection) as captured:
            client.get("/")
        return len(captured)

    few = queries()
    for number in range(8):
        shelf.make_product(shelf.picture(), shelf.picture((0, 0, 9)), title=f"More {number}")
    assert queries() == few <= 6


def test_filters(client: Client, furniture: list[Product]) -> None:
    assert titles(client.get("/?category=furniture")) == ["Chair 1", "Chair 0"]
    assert titles(client.get("/?category=furniture&in_stock=true")) == ["Chair 1"]
    assert titles(client.get("/?price_min=3&price_max=4")) == ["Goods 3", "Goods 2"]
    assert titles(client.get("/?colour=Colour+2&price_max=6")) == ["Goods 5", "Goods 2"]
    assert "Nothing passes these filters" in client.get("/?price_min=900000").content.decode()


def test_fields_left_empty_filter_nothing(client: Client, products: list[Product]) -> None:
    assert len(titles(client.get("/?category=&colour=&price_min=&price_max="))) == len(products)


def test_filter_in_force_can_be_taken_off(client: Client, furniture: list[Product]) -> None:
    html = client.get("/?category=furniture&in_stock=true&page=1").content.decode()
    assert 'class="chosen-one" href="?in_stock=true"' in html
    assert 'class="chosen-one" href="?category=furniture"' in html


def test_value_that_is_not_understood(client: Client, products: list[Product]) -> None:
    page = client.get("/?price_min=cheap")
    assert page.status_code == 400
    assert "Enter a number" in page.content.decode()
    assert titles(page) == []
    assert client.get("/?category=nowhere").status_code == 400


def test_hostile_query_is_escaped(client: Client, products: list[Product]) -> None:
    html = client.get("/", {"price_min": '"><script>alert(1)</script>', "x": "<script>"}).content.decode()
    assert "<script>" not in html


def test_pages(client: Client, db: None) -> None:
    for number in range(26):
        shelf.make_product(title=f"Goods {number}", stock=1)
    first = client.get("/?in_stock=true")
    assert len(titles(first)) == 24
    assert 'href="?in_stock=true&amp;page=2"' in first.content.decode()
    assert len(titles(client.get("/?in_stock=true&page=2"))) == 2
    assert len(titles(client.get("/?page=last+one"))) == 24


def test_empty_shop(client: Client, db: None) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "The shelves are still empty" in page.content.decode()


def test_unpublished_products_are_nowhere(client: Client, products: list[Product]) -> None:
    Product.objects.filter(pk=products[1].pk).update(is_published=False)
    assert "Goods 1" not in titles(client.get("/"))
    assert client.get(products[1].get_absolute_url()).status_code == 404
    assert "Goods 1" not in titles(client.get(products[0].get_absolute_url()))
    assert client.get(f"/visual-search/product/{products[1].pk}/similar/").status_code == 404


def test_product_page(client: Client, products: list[Product]) -> None:
    Product.objects.filter(pk=products[5].pk).update(description="Round & sound", stock=2)
    ProductImage.objects.create(product=products[5], image=shelf.upload(shelf.picture((1, 2, 3))), position=1)
    page = client.get(products[5].get_absolute_url())
    html = page.content.decode()
    assert "€6.00" in html
    assert "Only 2 left" in html
    assert "Round &amp; sound" in html
    assert set(titles(page)[:2]) == {"Goods 4", "Goods 6"}
    assert 'href="?picture=2"' in html
    assert f'href="/visual-search/product/{products[5].pk}/similar/"' in html


@pytest.mark.parametrize("picture", ["2", "0", "99", "9999999999", "x", "²"])
def test_picture_asked_for(client: Client, products: list[Product], picture: str) -> None:
    ProductImage.objects.create(product=products[5], image=shelf.upload(shelf.picture(), "second.png"), position=1)
    html = client.get(products[5].get_absolute_url(), {"picture": picture}).content.decode()
    main = html.split("gallery-main")[1].split("gallery-strip")[0]
    assert ("second" in main) == (picture == "2")


def test_product_without_picture(client: Client, db: None) -> None:
    html = client.get(shelf.make_product().get_absolute_url()).content.decode()
    assert "No picture" in html
    assert "find similar" not in html.lower()


def test_what_is_not_there(client: Client, db: None) -> None:
    page = client.get("/product/123456/")
    assert page.status_code == 404
    assert "This page is not here" in page.content.decode()
    assert client.get("/nowhere/").status_code == 404


def test_page_names_the_language_that_it_is_in(client: Client, products: list[Product]) -> None:
    html = client.get("/", headers={"accept-language": "de"}).content.decode()
    assert '<html lang="de">' in html
    assert re.search(r"12,00\s€", html)
    assert '<html lang="en">' in client.get("/", headers={"accept-language": "fr"}).content.decode()


@pytest.mark.parametrize(
    "path", ["/", "/product/{}/", "/visual-search/product/{}/similar/", "/visual-search/product/photo/", "/none"]
)
def test_pages_hold_no_inline_script_or_style(client: Client, products: list[Product], path: str) -> None:
    html = client.get(path.format(products[0].pk)).content.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))


@pytest.mark.parametrize("path", ["/", "/product/{}/", "/visual-search/product/{}/similar/"])
def test_every_picture_has_its_size_and_a_text(client: Client, products: list[Product], path: str) -> None:
    tags = re.findall("<img[^>]*>", client.get(path.format(products[0].pk)).content.decode())
    assert tags
    assert all(re.search(r'width="\d+" height="\d+" alt="[^"]+"', tag) for tag in tags)
