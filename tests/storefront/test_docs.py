"""docs/storefront.md: its ten lines make a shop, and what it says of templates, colours, weights and policy is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.template import RequestContext, engines
from django.test import Client, RequestFactory

from catalog.models import Product
from tests import shelf
from tests.storefront.test_search_pages import PHOTO, post

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "storefront.md").read_text()
OURS = ROOT / "visualsearch"
STYLES = (OURS / "static" / "visualsearch" / "visualsearch.css").read_text()


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def test_ten_lines_make_a_shop(
    client: Client, products: list[Product], settings: Any, tmp_path: Path, rf: RequestFactory
) -> None:
    in_all = 0
    for example in [*examples("python")[:1], *examples("html")]:
        first, _, text = example.partition("\n")
        in_all += len([line for line in text.splitlines() if line.strip()])
        if path := re.search(r"<!-- templates/(\S+) -->", first):
            (tmp_path / path[1]).parent.mkdir(exist_ok=True)
            (tmp_path / path[1]).write_text(text)
    assert in_all <= 10
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    base = engines["django"].engine.get_template("base.html").render(RequestContext(rf.get("/")))
    assert f'href="{PHOTO}" data-visualsearch-open' in base
    for page in (client.get(PHOTO), post(client, shelf.picture())):
        html = page.content.decode()
        assert "<header><a" in html
        assert 'type="file" name="image"' in html
    assert "What looks like your photo" in html


def test_policy_is_the_demo_s(client: Client, db: None) -> None:
    (said,) = re.findall(r"^default-src .*$", PAGE, re.M)
    sent = client.get(PHOTO).headers["Content-Security-Policy"]
    assert {part.strip() for part in said.split(";")} <= {part.strip() for part in sent.split(";")}
    assert "unsafe" not in sent


def test_names_are_those_of_the_files() -> None:
    templates = {path.name for path in (OURS / "templates" / "visualsearch").glob("*.html")}
    assert set(re.findall(r"`(\w+\.html)`", PAGE)) <= templates
    assert set(re.findall(r"`(--visualsearch-[\w-]+)`", PAGE)) == set(
        re.findall(r"^  (--visualsearch-[\w-]+):", STYLES, re.M)
    )


def test_weight_of_a_product_page() -> None:
    script, style = map(int, re.findall(r"loads (\d+) KB of our script and (\d+) KB of our style", PAGE)[0])
    assert (OURS / "static" / "visualsearch" / "dialog.js").stat().st_size <= script * 1024
    assert len(STYLES) <= style * 1024


def test_every_template_can_be_replaced(client: Client, products: list[Product], settings: Any, tmp_path: Path) -> None:
    (tmp_path / "visualsearch").mkdir()
    names = (
        "match",
        "match_actions",
        "filter_choice",
        "searched",
        "why_dialog",
        "visual_search_form",
        "visual_search_button",
    )
    for name in names:
        (tmp_path / "visualsearch" / f"{name}.html").write_text(f"[our {name}]")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]
    html = post(client, shelf.picture()).content.decode()
    assert [name for name in names if f"[our {name}]" not in html] == []
