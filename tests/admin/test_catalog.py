"""The demo shop's own admin pages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from catalog.models import Product
from tests import shelf
from tests.admin.conftest import Shelves, staff
from tests.admin.pages import actions, cells, messages
from visualsearch import search_by_image

PRODUCTS = "/admin/catalog/product/"


def titles(client: Client, query: str = "") -> set[str]:
    return set(cells(client.get(f"{PRODUCTS}{query}"), "title"))


def test_an_unpublished_product_is_gone_from_the_next_search(boss: Client, shelves: Shelves) -> None:
    photo = shelf.picture(shelf.shade(0))
    assert [match.product for match in search_by_image(photo)] == [shelves.whole, shelves.part]
    chosen = {"_selected_action": [shelves.whole.pk]}
    response = boss.post(PRODUCTS, {"action": "unpublish", **chosen})
    assert messages(response) == [("success", "1 product is no longer shown, in no list and in no search.")]
    assert [match.product for match in search_by_image(photo)] == [shelves.part]
    boss.post(PRODUCTS, {"action": "publish", **chosen})
    assert [match.product for match in search_by_image(photo)] == [shelves.whole, shelves.part]


def test_who_may_only_look_cannot_publish(shelves: Shelves) -> None:
    assert actions(staff("catalog.view_product").get(PRODUCTS)) == []


def test_filters_and_search(boss: Client, shelves: Shelves) -> None:
    Product.objects.filter(pk=shelves.bare.pk).update(stock=0, colour="Sage")
    assert titles(boss, "?stock=out") == {"Bare"}
    assert titles(boss, "?stock=in") == {"Whole", "Part", "Broken", "Waiting"}
    assert titles(boss, "?colour=Sage") == {"Bare"}
    assert titles(boss, f"?q={shelves.part.sku}") == {"Part"}


def test_a_category_leads_to_its_products(boss: Client, shelves: Shelves) -> None:
    shelf.make_product(title="Elsewhere", category=shelf.category("Others"))
    page = boss.get("/admin/catalog/category/?q=Goods")
    assert cells(page, "products") == ["5"]
    link = re.search(r'<a href="/admin/catalog/product/(\?[^"]+)">5</a>', page.content.decode())
    assert link
    assert titles(boss, link[1]) == {"Whole", "Part", "Broken", "Waiting", "Bare"}


@pytest.mark.parametrize("path", ["category", "product", "productimage"])
def test_forms_open(boss: Client, shelves: Shelves, path: str) -> None:
    assert boss.get(f"/admin/catalog/{path}/add/").status_code == 200


def test_a_picture_added_to_a_product_is_queued(
    boss: Client, shelves: Shelves, queue: Any, django_capture_on_commit_callbacks: Any
) -> None:
    product = shelves.bare
    form = boss.get(f"{PRODUCTS}{product.pk}/change/").context["adminform"].form
    data = {name: form.initial.get(name, "") for name in form.fields}
    inline = {"images-TOTAL_FORMS": 2, "images-INITIAL_FORMS": 1, "images-0-id": product.images.get().pk}
    inline |= {"images-0-product": product.pk, "images-1-product": product.pk, "images-0-position": 0}
    photo = shelf.upload(shelf.picture(), "new.png")
    data |= {"is_published": "on", **inline, "images-1-image": photo, "images-1-position": 1}
    with django_capture_on_commit_callbacks(execute=True):
        assert boss.post(f"{PRODUCTS}{product.pk}/change/", data).status_code == 302
    added = product.images.exclude(image="").get()
    # Beside those of the fixtures, whose transactions are never committed.
    assert str(added.pk) in {pk for task in queue.take() for pk in task.args[1]}
