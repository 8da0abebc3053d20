"""A transaction that never ends, of the shop's or of a worker that hangs: nobody waits for it for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from catalog.models import Product, ProductImage
from tests.drift.conftest import no_graphs as no_graphs
from tests.drift.conftest import shop as shop
from tests.faults.truth import assert_true_rows
from tests.lifecycle.encoders import RED
from tests.processes import ROOT, environment
from tests.shelf import make_product, picture, product_source, shade
from visualsearch import similar_to, tasks
from visualsearch.models import ImageEmbedding, VisualIndex, active_index
from visualsearch.stores import get_store
from visualsearch.stores.pgvector import hnsw_name

pytestmark = [pytest.mark.fault]

WAIT = 1.0  # seconds
LONG = 30.0  # seconds that a loaded machine may take for what waits for one or two; far from for ever


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visualsearch.locks.WAIT", WAIT)
    monkeypatch.setattr("visualsearch.stores.graphs.PATIENCE", WAIT)


@contextmanager
def never_ending(*statements: str) -> Iterator[psycopg.Connection]:
    """A session that has run these and does no more, as of somebody who went for lunch."""
    with psycopg.connect(environment()["DATABASE_URL"], application_name="lunch") as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for statement in statements:
            session.execute(statement)
        yield session
        session.rollback()


@contextmanager
def in_time() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < LONG


def test_locked_image_is_left_for_later_and_holds_up_no_other(shop: list[ProductImage], queue: Any) -> None:
    product = make_product(*(picture(shade(number)) for number in range(10, 18)))
    images = list(product.images.order_by("pk"))
    queue.take()
    row = f"SELECT FROM catalog_productimage WHERE id = {images[3].pk} FOR UPDATE"
    with never_ending(row), in_time():
        tasks.index_images("product", [str(image.pk) for image in images])
        assert ImageEmbedding.objects.filter(state="indexed").count() == len(shop) + len(images) - 1
        (retry,) = queue.take()
        assert (retry.args[1], retry.delay > 0) == ([str(images[3].pk)], True)
        make_product(picture(shade(30)))  # saves go on
    queue.run()
    tasks.index_images(*retry.args)
    assert_true_rows()


def index_command(action: str, *arguments: str) -> None:
    call_command("visualsearch_index", action, "--source", "product", *arguments, stdout=StringIO())


def test_graph_waits_for_no_transaction_for_ever(shop: list[ProductImage], queue: Any) -> None:
    """Who is in the way is said; pictures are indexed and found meanwhile, and the graph is made afterwards."""
    index = active_index(product_source())
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {hnsw_name(index)}")
    with never_ending("SELECT FROM visualsearch_imageembedding"), in_time():
        with pytest.raises(CommandError, match="lunch"):
            index_command("build", "--encoder", RED, "--sync")
        product = make_product(picture(shade(9)))
        queue.run()
        assert not get_store().is_prepared(index)
        assert len(similar_to(product, 5)) == 5
    tasks.index_images("product", [str(product.images.get().pk)])
    assert get_store().is_prepared(index)
    index_command("build", "--encoder", RED, "--sync")


def test_version_is_thrown_away_when_the_transaction_is_over(
    shop: list[ProductImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visualsearch.lifecycle.switching.GRACE", 0.0)
    index_command("build", "--encoder", RED, "--sync")
    index_command("activate", "--force")
    with never_ending("SELECT FROM visualsearch_imageembedding"), in_time():
        with pytest.raises(CommandError, match="lunch"):
            index_command("prune", "--keep", "0")
        assert len(similar_to(shop[0].product, 5)) == 5
    index_command("prune", "--keep", "0")
    assert VisualIndex.objects.get().encoder == RED


@pytest.fixture
def recommended_options() -> Iterator[None]:
    """Of docs/deployment.md, but for the time."""
    given = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = {**given, "options": f"-c lock_timeout={WAIT:.0f}s"}
    yield
    connection.close()
    connection.settings_dict["OPTIONS"] = given


def test_search_does_not_wait_for_whoever_changes_the_table(
    recommended_options: None, shop: list[ProductImage]
) -> None:
    product = Product.objects.earliest("pk")
    client = Client(headers={"host": "localhost"})
    address = f"/api/visualsearch/product/{product.pk}/similar/"
    assert client.get(address).status_code == 200
    with never_ending("ALTER TABLE visualsearch_imageembedding ADD COLUMN lunch integer"), in_time():
        answer = client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert client.get(address).status_code == 200


FROZEN = """
import django, sys, time
django.setup()
from visualsearch import locks
from visualsearch.models import ImageEmbedding
locks.FROZEN = 2.0
try:
    with locks.short_transaction("default"):
        list(ImageEmbedding.objects.select_for_update().values_list("pk"))
        print("locked", flush=True)
        time.sleep(600)
finally:
    print("ended", flush=True)
"""


def test_worker_that_hangs_in_its_transaction_is_ended_by_the_server(shop: list[ProductImage], queue: Any) -> None:
    """A machine that is frozen with rows locked: deletes and other workers go on as soon as the server notices."""
    frozen = subprocess.Popen(
        [sys.executable, "-c", FROZEN], cwd=ROOT, env={**os.environ, **environment()}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == "locked\n"
        with in_time():
            shop[0].delete()
        tasks.index_images("product", [str(image.pk) for image in shop[1:]])
        assert frozen.poll() is None, "it hangs still"
        queue.take()
        assert_true_rows()
    finally:
        frozen.kill()
        frozen.wait()
        frozen.stdout.close()
