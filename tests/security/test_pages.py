"""Every page that can be reached from the first of the shop and of the admin, with names made to be taken for HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from catalog.models import Product, ProductImage
from tests import shelf
from tests.security.conftest import Shop

pytestmark = pytest.mark.django_db
HOSTILE = "\"'><svg/onload=evil(1)><script>evil(1)</script><a href=javascript:evil(1)>{{7*7}}"
MOST_PAGES = 30
NOT_FOLLOWED = (
    "/admin/logout",
    "/admin/jsi18n",
    "/media/",
    "/static/",
    "/api/schema",
    "/admin/django_q",
    "/admin/auth",
)


class Page(HTMLParser):
    """Where a page leads, and what in it a browser would run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.runs: list[str] = []
        self.in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_script = tag == "script"
        for name, value in attrs:
            if name in ("href", "src", "action", "formaction") and (value or "").strip().lower().startswith(
                "javascript"
            ):
                self.runs.append(f"{tag} {name}")
            if name.startswith("on") and "evil" in (value or ""):
                self.runs.append(f"{tag} {name}")
            if tag == "a" and name == "href" and value:
                self.links.append(value)

    def handle_data(self, data: str) -> None:
        if self.in_script and "evil(" in data and "\\u003C" not in data:
            self.runs.append("script")


def crawled(client: Client, *starts: str) -> Iterator[tuple[str, Any]]:
    waiting, seen, shapes = list(starts), set(starts), dict[str, int]()
    while waiting and len(seen) < 400:
        address = waiting.pop(0)
        answer = client.get(address)
        if not answer.get("Content-Type", "").startswith("text/html"):
            continue
        yield address, answer
        for link in Page(answer.content.decode()).links:
            found = urlsplit(urljoin(address, link))
            shape = "".join("0" if letter.isdigit() else letter for letter in found.path)
            if found.netloc or found.path.startswith(NOT_FOLLOWED) or shapes.get(shape, 0) >= 2:
                continue  # two of each kind of page are enough
            shapes[shape] = shapes.get(shape, 0) + 1
            if (target := f"{found.path}?{found.query}") not in seen and sum(shapes.values()) < MOST_PAGES:
                seen.add(target)
                waiting.append(target)


def test_no_name_is_run_on_any_page(shop: Shop, client: Client, admin_user: Any) -> None:
    product = shop.shown[0]
    Product.objects.filter(pk=product.pk).update(
        title=HOSTILE, sku=HOSTILE[:60], colour=HOSTILE[:40], description=HOSTILE
    )
    type(product.category).objects.filter(pk=product.category_id).update(name=HOSTILE[:110])
    image = ProductImage.objects.create(product=product, image=shelf.upload(b"no picture", name="plain.png"))
    ProductImage.objects.filter(pk=image.pk).update(origin=HOSTILE)
    ProductImage.objects.filter(pk=product.images.first().pk).update(image=f"products/{HOSTILE[:60]}.png")
    shelf.index_everything()
    pages = dict(crawled(client, "/", f"/product/{product.pk}/", f"/visual-search/product/{product.pk}/similar/"))
    photo = SimpleUploadedFile(f"{HOSTILE}.png".replace("/", ""), shelf.picture(shelf.shade(0)))
    pages["photo"] = client.post("/visual-search/product/photo/", {"image": photo})
    pages["search"] = client.get("/", dict.fromkeys(("colour", "price_min", "category", "sort", "q"), HOSTILE))
    client.force_login(admin_user)
    pages |= dict(crawled(client, "/admin/", "/admin/visualsearch/imageembedding/", "/admin/catalog/product/"))
    found = {address: Page(answer.content.decode()).runs for address, answer in pages.items()}
    assert {address: runs for address, runs in found.items() if runs} == {}
    assert [address for address, answer in pages.items() if answer.status_code >= 500] == []
    assert len(pages) > 15
    text = "".join(answer.content.decode() for answer in pages.values())
    assert "evil(1)&lt;/script&gt;" in text  # it is shown as the text that it is
    assert HOSTILE not in text


def test_changes_need_a_token(shop: Shop, admin_user: Any) -> None:
    """Of a signed-in user no form is taken from elsewhere: photo page, API and admin."""
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    photo = {"image": shelf.upload(shelf.picture())}
    for address in ("/visual-search/product/photo/", "/api/visualsearch/product/search/"):
        assert strict.post(address, photo).status_code == 403, address
    for address in (f"/admin/catalog/product/{shop.shown[0].pk}/change/", "/admin/visualsearch/imageembedding/"):
        assert strict.post(address, {"title": "taken over"}).status_code == 403, address
    assert not Product.objects.filter(title="taken over").exists()
