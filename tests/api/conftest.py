from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from tests import shelf
from visualsearch.models import VisualIndex
from visualsearch.sources import ImageSource, register, unregister


@pytest.fixture(autouse=True)
def _shop(settings: Any, fake_encoder: None, use_settings: Any) -> Iterator[None]:
    """The shop's addresses, colours for vectors, nothing queued, and nobody throttled by an earlier test."""
    settings.ROOT_URLCONF = "tests.api.urls"
    use_settings(ENQUEUE="visualsearch.testing.enqueue_nothing")
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture
def rest(settings: Any) -> Callable[..., None]:
    """Changes REST_FRAMEWORK for one test: ``rest(NUM_PROXIES=0)``.

    Classes are read when a view class is made, so for them the views of this API get the new ones themselves.
    """

    def change(**changes: Any) -> None:
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, **changes}

    return change


@pytest.fixture
def view_policy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives this API's views other classes, as the project's defaults do when the framework is first imported."""
    from visualsearch.api.views import VisualSearchView

    def change(**attributes: Any) -> None:
        for name, value in attributes.items():
            assert getattr(VisualSearchView, name) == getattr(api_settings, f"DEFAULT_{name.upper()}")
            monkeypatch.setattr(VisualSearchView, name, value)

    return change


@pytest.fixture
def another_source() -> Iterator[Callable[..., ImageSource]]:
    """Registers sources for one test."""
    names: list[str] = []

    def add(model: Any, name: str, **arguments: Any) -> ImageSource:
        from visualsearch.sources import get_source

        register(model, name=name, **arguments)
        names.append(name)
        return get_source(name)

    yield add
    for name in names:
        unregister(name)


@pytest.fixture
def rainbow(db: None) -> list[Any]:
    """Twelve indexed products, each looking most like its neighbours in the list, with scores."""
    products = [shelf.make_product(shelf.picture(shelf.shade(number))) for number in range(12)]
    shelf.index_everything()
    VisualIndex.objects.update(calibration=shelf.CALIBRATION)
    return products
