"""A shop that is well, and what the doctor says of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.module_loading import import_string

from catalog.models import ProductImage
from tests.shelf import index_everything, make_product, picture, shade
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores import get_store

GROUND = ["settings", "database", "extension", "tables"]
CHECKS = [*GROUND, "version", "search", "memory", "storage", "encoder", "queue"]

Said = dict[str, dict[str, str]]  # the finding of each check; of several, the worst


def at_once(function: str, *args: Any, delay: float = 0) -> None:
    """An ENQUEUE whose worker is never late."""
    import_string(function)(*args)


def examined(*arguments: str) -> tuple[Said, int]:
    """Findings by check, and the exit status."""
    out, status = StringIO(), 0
    try:
        call_command("visualsearch_doctor", "--json", *arguments, stdout=out, stderr=StringIO())
    except CommandError as error:
        status = error.returncode
    found = json.loads(out.getvalue())
    assert found["ok"] is (status == 0)
    assert "Traceback" not in out.getvalue()
    severe = ["ok", "unknown", "advice", "wrong"]
    return {
        one["check"]: one for one in sorted(found["findings"], key=lambda one: severe.index(one["verdict"]))
    }, status


@pytest.fixture
def wrong() -> Callable[..., tuple[str, str]]:
    """What is said and what to do of the one check that is wrong, where all others are as they should be."""

    def check(name: str, *arguments: str) -> tuple[str, str]:
        said, status = examined(*arguments)
        assert status == 1
        assert [one for one, finding in said.items() if finding["verdict"] == "wrong"] == [name]
        return said[name]["said"], said[name]["todo"]

    return check


@pytest.fixture
def shop(transactional_db: None, fake_encoder: None, use_settings: Any) -> Iterator[list[ProductImage]]:
    """Six products with an image each, all indexed, and a queue that works."""
    get_store().drop_leftovers()
    with connection.cursor() as cursor:
        # What other tests rolled back still lies in the table's pages, for which the planner takes it to be large.
        cursor.execute(f"TRUNCATE {ImageEmbedding._meta.db_table} CASCADE")
    use_settings(ENQUEUE="visualsearch.testing.enqueue_nothing")
    images = [make_product(picture(shade(number))).images.get() for number in range(6)]
    index_everything()
    use_settings(ENQUEUE="tests.doctor.conftest.at_once")
    yield images
    VisualIndex.objects.all().delete()
    get_store().drop_leftovers()
