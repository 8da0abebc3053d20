"""PostgreSQL goes away in the middle of the day and comes back; and it ends sessions while they are used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from catalog.models import Product, ProductImage
from tests.faults.servers import OwnServer, connected, own_server
from tests.faults.services import Cluster, Customer, Web, ended
from tests.faults.truth import assert_true_rows
from tests.processes import wait_until
from tests.shelf import index_everything, make_product, picture, shade, upload
from visualsearch.models import ImageEmbedding

pytestmark = [pytest.mark.fault]

DOWN = 3.0  # seconds
ENDED = 6  # times that the server ends every session
IMAGES = 240
ALLOWED = {(200, ""), (503, "database_unavailable")}


@pytest.fixture
def server(django_db_blocker: Any, real_encoder: None) -> Iterator[OwnServer]:
    with django_db_blocker.unblock(), own_server() as own, connected(own):
        yield own


@pytest.fixture
def products(server: OwnServer) -> list[Product]:
    """Some that customers search with."""
    made = [make_product(picture(shade(number))) for number in range(8)]
    index_everything()
    return made


def save_batch(count: int) -> None:
    """Products with twelve images each."""
    for number in range(count // 12):
        product = make_product()
        for place in range(12):
            ProductImage.objects.create(product=product, image=upload(picture(shade(number + place))))


def indexed() -> int:
    return ImageEmbedding.objects.filter(state="indexed").count()


def end_sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def test_database_that_stops_ends_sessions_and_comes_back(
    server: OwnServer, products: list[Product], log: Path
) -> None:
    """Searches say 503 with a code, and are right again by themselves; what was being indexed gets indexed."""
    web, cluster = Web(log), Cluster(log)
    with ended(web, cluster):
        web.start()
        cluster.start()
        web.wait()
        save_batch(IMAGES)
        with Customer([web], [product.pk for product in products], picture(shade(3))) as customer:
            wait_until(lambda: indexed() >= len(products) + 20, 120, log)
            connection.close()
            server.stop()
            stopped = time.monotonic()
            time.sleep(DOWN)
            started = time.monotonic()
            server.start()
            assert web.is_alive
            assert cluster.is_alive
            wait_until(lambda: web.similar(products[3].pk).status == 200, 60, log)
            wait_until(lambda: indexed() == len(products) + IMAGES, 240, log)
            while_down = [one for _, one in customer.answers if stopped < one.sent and one.answered < started]
            assert while_down
            assert {(one.status, one.code) for one in while_down} == {(503, "database_unavailable")}
            assert ProductImage.objects.count() == len(products) + IMAGES
            save_batch(IMAGES)
            for _ in range(ENDED):
                time.sleep(0.3)
                assert end_sessions() > 0
            wait_until(lambda: indexed() == len(products) + 2 * IMAGES, 240, log)
            wait_until(lambda: web.similar(products[3].pk).status == 200, 60, log)
        assert set(customer.statuses()) <= ALLOWED, customer.statuses()
        after = web.similar(products[3].pk).content
        assert (after["state"], len(after["results"])) == ("ready", 5)
        assert_true_rows()
