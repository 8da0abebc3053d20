"""A shop whose index is true, for tests that spoil one thing after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import ProductImage
from tests.shelf import index_everything, make_product, picture, shade
from visualsearch.models import VisualIndex
from visualsearch.stores import get_store


@pytest.fixture
def no_graphs(transactional_db: None) -> None:
    """None that other tests left: flush keeps them."""
    get_store().drop_leftovers()


@pytest.fixture
def shop(no_graphs: None, fake_encoder: None, queue: Any) -> Iterator[list[ProductImage]]:
    """Six products with an image each, all indexed."""
    images = [make_product(picture(shade(number))).images.get() for number in range(6)]
    queue.take()
    index_everything()
    yield images
    VisualIndex.objects.all().delete()
    get_store().drop_leftovers()


def reconcile(*arguments: str) -> tuple[dict[str, Any], str]:
    """What ``visualsearch_reconcile --json`` prints, and its sentence where it exits with another status than 0."""
    out, sentence, status = StringIO(), "", 0
    try:
        call_command("visualsearch_reconcile", "--json", *arguments, stdout=out, stderr=StringIO())
    except CommandError as error:
        sentence, status = str(error), error.returncode
    assert status == bool(sentence)
    return json.loads(out.getvalue()), sentence


@pytest.fixture
def drift_of(no_graphs: None) -> Callable[..., dict[str, list[str]]]:
    """Images by kind of drift, as reconcile finds them; and as it says that it mended them, with ``--fix``."""

    def run(*arguments: str) -> dict[str, list[str]]:
        found, sentence = reconcile(*arguments)
        reports = [*found["sources"], found["leftovers"]]
        cases: dict[str, list[str]] = {}
        for case in (case for report in reports for case in report["examples"]):
            cases.setdefault(case["kind"], []).append(case["object_id"])
        assert {kind: len(keys) for kind, keys in cases.items()} == {
            kind: count for report in reports for kind, count in report["drift"].items()
        }
        assert bool(sentence) == any(report["left"] for report in reports)
        return cases

    return run
