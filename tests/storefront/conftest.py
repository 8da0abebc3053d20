from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.template import RequestContext, Template
from django.test import RequestFactory

from catalog.models import Product
from tests import shelf

COLOURS = 12


@pytest.fixture(autouse=True)
def _shop(fake_encoder: None, use_settings: Any) -> Iterator[None]:
    """Colours for vectors, nothing queued."""
    use_settings(ENQUEUE="visualsearch.testing.enqueue_nothing")
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def products(db: None) -> list[Product]:
    """Products in the colours of a rainbow, all indexed: neighbours in the list look alike."""
    made = [
        shelf.make_product(shelf.picture(shelf.shade(n)), title=f"Goods {n}", colour=f"Colour {n % 3}", price=n + 1)
        for n in range(COLOURS)
    ]
    shelf.index_everything()
    return made


@pytest.fixture
def render(rf: RequestFactory) -> Any:
    """``render("{% similar_products product %}", product=...)``: what a template with our tags comes to."""

    def rendered(source: str, **variables: Any) -> str:
        template = Template("{% load visualsearch %}" + source)
        return template.render(RequestContext(rf.get("/"), variables)).strip()

    return rendered


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What visualsearch logs from a warning on."""
    caplog.set_level(logging.WARNING, logger="visualsearch")
    return caplog
