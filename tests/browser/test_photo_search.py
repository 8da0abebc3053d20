"""Search by photo with scripts: the dialog and the page, from the photo to the reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser


def test_look(visit: Callable[..., Visit], goods: Any, photo: tuple[str, Path]) -> None:
    shop = visit(1440)
    page = shop.page
    shop.go(f"/product/{goods[3].pk}/")
    page.locator("header").get_by_text("Search by photo").click()
    page.locator("dialog[open] [type=file]").first.wait_for(state="attached")
    shop.picture("dialog-1440")
    page.locator("dialog[open] [type=file]").first.set_input_files(photo[1])
    page.locator("cropper-selection").wait_for()
    page.wait_for_timeout(500)
    shop.picture("dialog-crop-1440")
    page.get_by_role("button", name="Find products").click()
    page.get_by_role("heading", name="What looks like your photo").wait_for()
    page.wait_for_timeout(500)
    shop.picture("dialog-found-1440")
    page.get_by_role("button", name="Why?").first.click()
    page.locator(".visualsearch-heat").wait_for()
    page.wait_for_timeout(300)
    shop.picture("dialog-why-1440")
