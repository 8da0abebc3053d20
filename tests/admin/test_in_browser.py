"""The dashboard in a real Chromium: wide and narrow, light and dark, and a button pressed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests import shelf
from tests.admin.conftest import Shelves
from tests.browser.conftest import Visit, chromium
from visualsearch import lifecycle
from visualsearch.models import IndexedSource, SearchCount, VisualIndex
from visualsearch.stores import get_store

__all__ = ["chromium"]

pytestmark = pytest.mark.browser

PAGE = "/admin/visualsearch/indexedsource/"
SCROLLS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def visit(browser: Any, address: str, width: int, dark: bool) -> Visit:
    context = browser.new_context(
        viewport={"width": width, "height": 1000}, color_scheme="dark" if dark else "light", locale="en-GB"
    )
    client = Client()
    client.force_login(User.objects.get_or_create(username="boss", is_staff=True, is_superuser=True)[0])
    cookie = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": address}])
    begun = Visit(context.new_page(), address)
    begun.page.set_default_timeout(30_000)
    begun.page.on("pageerror", lambda error: begun.troubles.append(f"script: {error}"))
    begun.page.on("response", lambda r: r.status < 400 or begun.troubles.append(f"{r.status}: {r.url}"))
    return begun


def test_dashboard(transactional_db: None, shelves: Shelves, chromium: Any, live_server: Any) -> None:
    source = shelf.product_source()
    lifecycle.build(lifecycle.begin(source, "tests.lifecycle.encoders.RedEncoder"), source, chunk=8)
    for kind, outcome, bucket, count in [("similar", "answered", 3, 412), ("photo", "answered", 5, 38)]:
        SearchCount.objects.create(
            source="product", day=timezone.localdate(), kind=kind, outcome=outcome, bucket=bucket, count=count
        )
    IndexedSource.objects.create(name="product", worker_seen_at=timezone.now() - timedelta(seconds=20))
    wide = visit(chromium, live_server.url, 1440, False)
    wide.go(PAGE)
    assert not wide.page.evaluate(SCROLLS), "nothing makes the page wider than the screen"
    wide.picture("dashboard-1440")
    wide.page.get_by_role("link", name="Pause").click()
    wide.page.get_by_role("button", name="Pause").click()
    wide.page.get_by_text("Indexing is paused since").wait_for()

    narrow = visit(chromium, live_server.url, 390, True)
    narrow.go(PAGE)
    assert not narrow.page.evaluate(SCROLLS)
    narrow.picture("dashboard-390")
    narrow.page.get_by_role("link", name="Build a version").click()
    assert not narrow.page.evaluate(SCROLLS)
    narrow.picture("dashboard-build-390")
    assert wide.troubles == narrow.troubles == []
    wide.page.context.close()
    narrow.page.context.close()
    VisualIndex.objects.all().delete()
    get_store().drop_leftovers()
