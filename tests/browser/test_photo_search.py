"""Search by photo with scripts, under the shop's Content-Security-Policy: from the photo to the reasons."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from catalog.models import Product
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.test_storefront import PHOTO, kind_of

pytestmark = pytest.mark.browser

BUDGET = 60 * 1024  # bytes of styles and scripts of a product page, before compression
WATCH_SENDING = """() => { window.stays = true;
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (body) { window.sent = body; return send.call(this, body); }; }"""
SENT = """() => new Promise((done) => { const reader = new FileReader();
  reader.onload = () => done(reader.result.split(",")[1]); reader.readAsDataURL(window.sent.get("image")); })"""
TRANSFER = """(bytes) => { const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], "given.jpg", {type: "image/jpeg"})); return transfer; }"""
PASTE = """(transfer) => document.dispatchEvent(
  new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true}))"""


@pytest.fixture
def scene(photo: tuple[str, Path], drawn: Any, tmp_path: Path) -> Path:
    """A large photo, of a table as it were, with two things on it, and where it was taken in its header."""
    ground = Image.effect_noise((2400, 1800), 12).convert("RGB")
    for place, content in ((150, 350), photo[1].read_bytes()), ((1350, 500), drawn[-1][1]):
        ground.paste(Image.open(io.BytesIO(content)).resize((900, 900)), place)
    exif = Image.Exif()
    exif[0x010E] = "AT HOME"
    ground.save(tmp_path / "scene.jpg", exif=exif)
    return tmp_path / "scene.jpg"


def sent(page: Any) -> tuple[bytes, Image.Image]:
    """The photo that the page has sent last, as a file and as a picture."""
    content = base64.b64decode(page.evaluate(SENT))
    return content, Image.open(io.BytesIO(content))


def searched(page: Any, press: Callable[[], Any]) -> None:
    """Presses, and waits until the answer is in its place."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        press()
    expect(page.locator(".visualsearch-results").first).not_to_have_attribute("aria-busy", "true")


def test_dialog_from_a_photo_to_reasons(visit: Callable[..., Visit], goods: list[Product], scene: Path) -> None:
    shop = visit(1440)
    page = shop.page
    weights: dict[str, int] = {}
    page.on(
        "response",
        lambda r: r.request.resource_type in ("script", "stylesheet") and weights.update({r.url: len(r.body())}),
    )
    shop.go(f"/product/{goods[3].pk}/")
    assert sum(weights.values()) < BUDGET, weights
    assert all(address.startswith(shop.address) for address in weights)
    page.evaluate(WATCH_SENDING)

    page.locator("header").get_by_text("Search by photo").click()
    page.locator("dialog[open] [type=file]").first.wait_for(state="attached")
    assert violations(page) == []
    shop.choose(scene)
    frame = page.locator("cropper-selection")
    whole = frame.bounding_box()
    shop.picture("dialog-cut-1440")
    assert violations(page) == []

    find = page.get_by_role("button", name="Find products")
    searched(page, find.click)
    content, picture = sent(page)
    assert max(picture.size) == 1280  # of 2400
    assert b"AT HOME" not in content
    things = page.locator("[data-visualsearch-thing]")
    expect(things).to_have_count(2)
    shop.picture("dialog-found-1440")
    assert violations(page) == []
    labels = things.all_inner_texts()
    for number, label in enumerate(labels):
        searched(page, things.nth(number).click)
        expect(things.nth(number)).to_have_attribute("aria-pressed", "true")
        assert kind_of(shop.titles("dialog")[0]) in label
    searched(page, page.locator("[data-visualsearch-box='1'] rect").click)  # a box is its button
    expect(things.first).to_have_attribute("aria-pressed", "true")

    go_on(shop)

    page.get_by_role("button", name="Choose a part").click()
    frame.focus()
    for _ in range(20):
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert frame.bounding_box()["width"] == pytest.approx(0.6 * whole["width"], abs=3)
    corner = page.locator("cropper-handle[action=se-resize]").bounding_box()
    page.mouse.move(corner["x"] + 14, corner["y"] + 14)
    page.mouse.down()
    page.mouse.move(corner["x"] + 14, corner["y"] - 60, steps=4)
    page.mouse.up()
    share = frame.bounding_box()["height"] / whole["height"]
    assert share < 0.9
    searched(page, find.click)
    picture = sent(page)[1]
    assert picture.width / picture.height == pytest.approx(0.6 * 2400 / (share * 1800), rel=0.03)
    assert page.evaluate("() => window.sent.get('whole')") == "1"
    assert page.evaluate("() => window.stays")


def go_on(shop: Visit) -> None:
    """Filters, order, marks, pages and a reason, in the dialog, none of which leaves the page."""
    page = shop.page
    searched(page, page.locator("dialog").get_by_label("Lamps").check)
    assert {kind_of(title) for title in shop.titles("dialog")} == {"Lamps"}
    searched(page, lambda: page.locator("dialog").get_by_label("Sort by").select_option("price"))
    prices = [float(price[1:]) for price in page.locator("dialog .price").all_inner_texts()]
    assert prices == sorted(prices)
    searched(page, page.get_by_role("button", name="Clear filters").click)
    searched(page, lambda: page.locator("dialog").get_by_label("Sort by").select_option(""))
    first = shop.titles("dialog")
    searched(page, page.get_by_role("button", name="Less like this").first.click)
    assert first[0] not in shop.titles("dialog")
    searched(page, page.get_by_role("button", name="More like this").nth(2).click)
    assert page.locator(".visualsearch-mark").count() == 2
    searched(page, page.get_by_role("button", name=re.compile(f"^Less like {first[0]}")).click)
    assert page.locator(".visualsearch-mark").count() == 1
    shown = len(shop.titles("dialog"))
    searched(page, page.get_by_role("button", name="Show more").click)
    expect(page.locator("dialog[open] .card")).to_have_count(2 * shown)
    titles = shop.titles("dialog")
    assert len(set(titles)) == len(titles)
    searched(page, page.get_by_role("button", name="Why?").first.click)
    expect(page.locator(".visualsearch-heat")).to_be_visible()
    shop.picture("dialog-why-1440")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator(".visualsearch-heat")).not_to_be_visible()


def test_page_takes_photos_from_everywhere(
    visit: Callable[..., Visit], goods: list[Product], photo: tuple[str, Path]
) -> None:
    """Pasted, dropped, of the page; sent slowly, cancelled, and sent again."""
    shop = visit(768)
    page = shop.page
    shop.go(PHOTO)
    given = page.evaluate_handle(TRANSFER, list(photo[1].read_bytes()))
    frame = page.locator("cropper-selection")
    page.evaluate(PASTE, given)
    expect(frame).to_be_visible()
    page.get_by_role("button", name="Another photo").click()
    expect(frame).not_to_be_visible()
    page.dispatch_event("form[data-visualsearch]", "drop", {"dataTransfer": given})
    expect(frame).to_be_visible()

    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4000}
    network.send("Network.emulateNetworkConditions", slow)
    page.get_by_role("button", name="Find products").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").first).to_have_text("Cancelled.")
    assert all(re.match("not loaded|console: htmx:", trouble) for trouble in shop.troubles), shop.troubles
    shop.troubles.clear()
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    searched(page, page.get_by_role("button", name="Find products").click)
    assert photo[0] in shop.titles()[:3]
    shop.picture("photo-found-768")

    shop.go(f"/product/{goods[1].pk}/")
    page.get_by_role("link", name="Search in this picture").click()
    expect(frame).to_be_visible()
    searched(page, page.get_by_role("button", name="Find products").click)
    assert shop.titles("dialog")[0] == goods[1].title
    page.get_by_role("button", name="Close").first.click()
    expect(page.locator("dialog[open]")).to_have_count(0)
