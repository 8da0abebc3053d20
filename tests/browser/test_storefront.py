"""What a customer does: look around, find similar, search by photo; with mouse or keyboard, and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Product
from tests.browser.axe import violations
from tests.browser.conftest import A_KIND, KINDS, Visit

pytestmark = pytest.mark.browser

PHOTO = "/visual-search/product/photo/"
NARROW = """[...document.querySelectorAll("a, button, summary, select, input:not([type=hidden])")]
  .filter((e) => e.checkVisibility({visibilityProperty: true}) && !e.closest(".card-title, .visualsearch-drop, p"))
  .map((e) => [e.outerHTML.slice(0, 80), (e.labels?.[0] ?? e).getBoundingClientRect()])
  .filter(([_, box]) => box.height < 44 || box.width < 44)
  .map(([html, box]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${html}`)"""
IS_FOCUS_SEEN = """() => { const at = document.activeElement;
  return [at, null].some((_, i) => getComputedStyle(at, i ? "::after" : null).outlineStyle !== "none"); }"""


def kind_of(title: str) -> str:
    return str(Product.objects.get(title=title).category)


def test_look_find_similar_search_by_photo(visit: Callable[..., Visit], photo: tuple[str, Path]) -> None:
    shop = visit(1440)
    page = shop.page
    shop.go("/")
    assert len(shop.titles()) == 24
    assert len({kind_of(title) for title in shop.titles()[: len(KINDS)]}) == len(KINDS)
    assert shop.shifts() == []
    shop.picture("list-1440")

    page.get_by_role("link", name=re.compile(" mug, ")).first.click()
    title = page.locator("h1").inner_text()
    similar = shop.titles(".visualsearch-block")
    assert len(similar) == 8
    assert {kind_of(found) for found in similar[: A_KIND - 1]} == {"Mugs"}  # the other mugs first
    assert title not in similar
    assert shop.shifts() == []
    shop.picture("product-1440")

    page.locator(".gallery-main").get_by_text("Find similar").click()
    assert page.locator("h1").inner_text() == "Similar products"
    assert title in page.locator(".visualsearch-query").inner_text()
    assert shop.titles()[:8] == similar
    shop.picture("similar-1440")

    page.get_by_label("Lamps").check()
    page.wait_for_url("**category=lamps**")
    page.wait_for_function("() => document.querySelectorAll('main .card').length === 6")
    assert {kind_of(found) for found in shop.titles()} == {"Lamps"}
    assert len(shop.titles()) == A_KIND

    shop.go(PHOTO)
    shop.picture("photo-1440")
    wanted, path = photo
    shop.choose(path)
    page.get_by_role("button", name="Find products").click()
    page.get_by_role("heading", name="What looks like your photo").wait_for()
    assert wanted in shop.titles()[:3]
    assert page.locator(".visualsearch-query").get_by_alt_text("Your photo").is_visible()
    shop.picture("photo-found-1440")


def test_refused_file_is_explained(visit: Callable[..., Visit], tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("This is no picture.")
    shop = visit(390)
    shop.go(PHOTO)
    shop.choose(letter)
    assert "cannot show this file" in shop.page.get_by_role("status").inner_text()
    shop.page.get_by_role("button", name="Find products").click()
    assert "This file is not a picture" in shop.page.get_by_role("alert").inner_text()
    shop.picture("photo-refused-390")
    assert f"400: {shop.address}{PHOTO}" in shop.troubles
    assert all("400" in trouble for trouble in shop.troubles), shop.troubles
    shop.troubles.clear()


def test_without_scripts(visit: Callable[..., Visit], photo: tuple[str, Path]) -> None:
    shop = visit(1440, script=False)
    shop.go("/")
    shop.page.locator(".card").first.hover()
    shop.page.locator(".card .visualsearch-button").first.click()
    assert shop.page.locator("h1").inner_text() == "Similar products"
    shop.go(PHOTO)
    shop.choose(photo[1])
    shop.page.get_by_role("button", name="Find products").click()
    assert photo[0] in shop.titles()[:3]
    shop.page.locator("[name=less_like]").first.click()
    assert photo[0] not in shop.titles()
    assert shop.page.get_by_alt_text("Your photo").is_visible()
    assert shop.page.get_by_text(f"Less like {photo[0]}").is_visible()
    shop.page.get_by_label("Lamps").check()
    shop.page.get_by_role("button", name="Show products").click()
    assert {kind_of(title) for title in shop.titles()} == {"Lamps"}
    shop.page.get_by_role("button", name="Clear filters").click()
    first = shop.titles()
    shop.page.get_by_role("button", name="Show more").click()
    assert shop.titles()
    assert not {*first} & {*shop.titles()}
    shop.page.get_by_role("button", name="Why?").first.click()
    assert shop.page.get_by_role("heading", name="Why this is here").is_visible()


def test_keyboard(visit: Callable[..., Visit]) -> None:
    shop = visit(1440)
    page = shop.page
    shop.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    assert page.evaluate(IS_FOCUS_SEEN)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"

    reach(page, "document.activeElement.closest('.card-title')")
    first = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText.trim()").startswith("Find similar")
    page.wait_for_function("() => getComputedStyle(document.activeElement).opacity === '1'")
    shop.picture("list-focus-1440")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/product/*/")
    assert page.locator("h1").inner_text() == first

    reach(page, "document.activeElement.matches('.gallery-main .visualsearch-button')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/similar/")
    reach(page, "document.activeElement.matches('[name=in_stock]')")
    page.keyboard.press("Space")
    page.wait_for_url("**in_stock=true**")


def reach(page: Any, there: str) -> None:
    """Tabs on until the script says so; every stop on the way shows that it has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(IS_FOCUS_SEEN), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate(f"Boolean({there})"):
            return
    pytest.fail(f"60 stops, and never {there}")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (768, False), (1440, True), (390, True)])
def test_every_width_and_dark(
    visit: Callable[..., Visit], goods: list[Product], photo: tuple[str, Path], width: int, dark: bool
) -> None:
    shop = visit(width, dark=dark)
    page = shop.page
    name = f"{width}{'-dark' if dark else ''}"
    product = goods[3].pk

    def looks_right(what: str, *, asked_for: bool = False) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert asked_for or shop.shifts() == []  # what a customer asks for may take its place
        if width < 500:
            assert page.evaluate(NARROW) == []
        if width != 768:
            assert violations(page) == []
        shop.picture(f"{what}-{name}")

    shop.go("/")
    looks_right("list")
    lightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(lightness) < 150) == dark
    page.locator("summary").click()
    looks_right("filter")
    shop.go(f"/product/{product}/")
    looks_right("product")
    shop.go(f"/visual-search/product/{product}/similar/")
    looks_right("similar")
    shop.go(PHOTO)
    looks_right("photo")
    shop.choose(photo[1])
    looks_right("photo-cut", asked_for=True)
    page.get_by_role("button", name="Find products").click()
    page.get_by_role("heading", name="What looks like your photo").wait_for()
    looks_right("photo-found", asked_for=True)
    page.get_by_role("button", name="Why?").first.click()
    page.locator(".visualsearch-heat").wait_for()
    looks_right("why", asked_for=True)
