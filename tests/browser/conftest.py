"""A real Chromium in front of a real shop: drawn goods, real weights, PostgreSQL, Django's live server.

Screenshots are written to ``$CI_OUTPUT/screenshots``, or ``ci-output/screenshots`` in the project.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils.text import slugify

from catalog.drawing import SIZE, jpeg
from catalog.drawing.assortment import Item, assortment
from catalog.drawing.studio import draughtsmen
from catalog.models import Category, Product, ProductImage
from tests import shelf
from tests.encoders.built import real_settings

ROOT = Path(__file__).resolve().parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
KINDS = ("mug", "chair", "sneaker", "handbag", "lamp")
A_KIND = 6


@pytest.fixture(scope="session")
def drawn() -> list[tuple[Item, bytes]]:
    """Some goods of several kinds, each with its first picture."""
    items = [item for kind in KINDS for item in [i for i in assortment() if i.kind == kind][:A_KIND]]
    with draughtsmen(len(items)) as draw:
        pictures = [content for _, content in draw([(item, 0) for item in items])]
    return list(zip(items, pictures, strict=True))


@pytest.fixture(scope="session")
def photo(drawn: list[tuple[Item, bytes]], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A picture that the shop does not have: a product from another side. Its title and the file."""
    item = drawn[1][0]
    path = tmp_path_factory.mktemp("photos") / "my photo.jpg"
    path.write_bytes(jpeg(item.kind, item.look, 2))
    return item.title, path


@pytest.fixture
def goods(transactional_db: None, drawn: list[tuple[Item, bytes]], settings: Any) -> list[Product]:
    """The goods in the shop, indexed with real weights."""
    settings.VISUALSEARCH = {**real_settings(), "ENQUEUE": "visualsearch.testing.enqueue_nothing"}
    for item, content in drawn:
        category = Category.objects.get_or_create(name=item.category, slug=slugify(item.category))[0]
        values = {name: getattr(item, name) for name in ("sku", "title", "colour", "price", "stock", "description")}
        product = Product.objects.create(category=category, **values)
        name = default_storage.save(item.file_name(0), ContentFile(content))
        ProductImage.objects.bulk_create([ProductImage(product=product, image=name, width=SIZE, height=SIZE)])
    shelf.index_everything()
    return list(Product.objects.order_by("pk"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for a module. Without one the tests are skipped, but not in CI, where they fail."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        reason = f"no browser: none of {', '.join(BROWSERS)} is on the PATH (apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as environment:
        # Playwright keeps an event loop running in this thread, which Django takes for asynchronous code.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            yield browser
            browser.close()


@dataclass
class Visit:
    """A customer's visit: a page, and what went wrong on it."""

    page: Any
    address: str
    troubles: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.address + path, wait_until="networkidle")

    def choose(self, path: Path) -> None:
        """A photo in the form of the page, or in that of the dialog where one is open."""
        form = self.page.locator("dialog[open] form[data-visualsearch]")
        form = form if form.count() else self.page.locator("main form[data-visualsearch]")
        form.locator("[type=file]").first.set_input_files(path)
        if form.get_attribute("data-enhanced") is not None:
            form.get_by_role("button", name="Find products").wait_for()

    def titles(self, within: str = "main") -> list[str]:
        return [str(title) for title in self.page.locator(f"{within} .card-title a").all_inner_texts()]

    def shifts(self) -> list[str]:
        """What moved by itself on this page although nobody touched it."""
        return list(self.page.evaluate("window.layoutShifts"))

    def picture(self, name: str) -> None:
        """A screenshot, once every picture in sight is there."""
        self.page.wait_for_load_state("networkidle")
        folder = Path(os.environ.get("CI_OUTPUT") or ROOT / "ci-output") / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        # Playwright would hide the caret by styles on the page's fields, which htmx takes for the page's own.
        self.page.screenshot(path=str(folder / f"{name}.png"), caret="initial")


def complaint(said: Any) -> str:
    """What a page wrote to its console, and which line of which script made it."""
    at = said.location
    return f"console: {said.text[:200]} ({at.get('url')}:{at.get('lineNumber')}:{at.get('columnNumber')})"


WATCH_SHIFTS = """
window.layoutShifts = [];
new PerformanceObserver((list) => {
  // What moves while the page is still being received is not counted: its first half is shown before it has a second.
  const received = performance.getEntriesByType("navigation")[0].domInteractive || Infinity;
  for (const shift of list.getEntries().filter((one) => one.startTime > received))
    for (const {node, previousRect, currentRect} of shift.sources)
      window.layoutShifts.push(`${node?.outerHTML?.slice(0, 80) ?? node?.nodeName}: ` +
        [previousRect, currentRect].map((r) => `${r.x} ${r.y} ${r.width} ${r.height}`).join(" -> "));
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.fixture
def visit(chromium: Any, goods: list[Product], live_server: Any) -> Iterator[Callable[..., Visit]]:
    """``visit(width=390, dark=True)``. At the end of the test nothing may have gone wrong on any page."""
    cache.clear()  # rates go by the minute, and the tests before were of the same address
    visits: list[Visit] = []
    contexts: list[Any] = []

    def begin(width: int = 1440, *, dark: bool = False, script: bool = True) -> Visit:
        touch = width < 500
        context = chromium.new_context(
            viewport={"width": width, "height": 844 if touch else 900},
            color_scheme="dark" if dark else "light",
            has_touch=touch,
            java_script_enabled=script,
            locale="en-GB",
        )
        if script:
            context.add_init_script(WATCH_SHIFTS)
        begun = Visit(context.new_page(), live_server.url)
        begun.page.set_default_timeout(30_000)
        # A browser tells here, too, what the Content-Security-Policy kept from it.
        begun.page.on("console", lambda said: said.type == "error" and begun.troubles.append(complaint(said)))
        begun.page.on("pageerror", lambda error: begun.troubles.append(f"script: {error}"))
        # A page that is left while its pictures come breaks off their requests itself.
        begun.page.on(
            "requestfailed",
            lambda request: (
                "ERR_ABORTED" in (request.failure or "")
                or begun.troubles.append(f"not loaded: {request.url[:200]} {request.failure}")
            ),
        )
        begun.page.on("response", lambda r: r.status < 400 or begun.troubles.append(f"{r.status}: {r.url[:200]}"))
        visits.append(begun)
        contexts.append(context)
        return begun

    yield begin
    for context in contexts:
        context.close()
    assert [trouble for begun in visits for trouble in begun.troubles] == []
