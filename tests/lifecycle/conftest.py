"""A shop with some indexed images, and commands as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import ProductImage
from tests.shelf import index_everything, make_product, picture
from visualsearch.models import VisualIndex
from visualsearch.stores import get_store

Typed = Callable[..., str]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody saves images or searches beside these tests, so nothing has to be waited for; and a few queries do."""
    monkeypatch.setattr("visualsearch.lifecycle.verifying.SAMPLE", 3)
    monkeypatch.setattr("visualsearch.lifecycle.verifying.PATIENCE", 0)
    monkeypatch.setattr("visualsearch.lifecycle.switching.GRACE", 0)


@pytest.fixture
def shop(transactional_db: None, fake_encoder: None, queue: Any) -> Iterator[list[ProductImage]]:
    """Twelve products with an image each, in one active version of FakeEncoder; no graph that other tests left."""
    get_store().drop_leftovers()
    images = [make_product(picture(colour)).images.get() for colour in colours(12)]
    queue.take()
    index_everything()
    yield images
    VisualIndex.objects.all().delete()
    get_store().drop_leftovers()


def colours(count: int) -> list[tuple[int, int, int]]:
    """Colours that FakeEncoder and RedEncoder put into different orders."""
    return [(37 * n % 256, 91 * n % 256, 53 * n % 256) for n in range(1, count + 1)]


@pytest.fixture
def manage() -> Typed:
    """``manage("build", "--sync")`` runs visualsearch_index and returns what it says."""

    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("visualsearch_index", *arguments, stdout=out, stderr=StringIO())
        return out.getvalue()

    return run


@pytest.fixture
def as_json(manage: Typed) -> Callable[..., Any]:
    return lambda *arguments: json.loads(manage(*arguments, "--json"))


def refusal(manage: Typed, *arguments: str) -> tuple[str, int]:
    """The sentence and the exit status of a command that refuses."""
    with pytest.raises(CommandError) as caught:
        manage(*arguments)
    return str(caught.value), caught.value.returncode


def states() -> list[str]:
    return list(VisualIndex.objects.order_by("pk").values_list("state", flat=True))


@pytest.fixture
def other_session(transactional_db: None) -> Iterator[Any]:
    """Another operator's connection to the same database."""
    from django.db import connection

    other = connection.copy()
    yield other
    other.close()
