"""A dump of the shop's database, restored into another server, answers the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection

from catalog.models import Product
from tests.drift.conftest import drift_of as drift_of
from tests.drift.conftest import no_graphs as no_graphs
from tests.drift.conftest import shop as shop
from tests.faults.servers import DATABASE, connected, own_server
from tests.faults.truth import assert_true_rows
from tests.processes import environment
from tests.shelf import make_product, picture, product_source, shade
from visualsearch import similar_to
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores import get_store

pytestmark = [pytest.mark.fault]

WIDE = 4_096  # dimensions, over what a graph of half-precision vectors holds: it is one of bits, by a function


def answers(wide: VisualIndex, queries: np.ndarray) -> list[Any]:
    """Of the version in use and of the wide one, and how the database comes to them."""
    pages: list[Any] = [
        [(match.product.pk, match.distance) for match in similar_to(product, 5)]
        for product in Product.objects.order_by("pk")
    ]
    found = [get_store().search(wide, vector, product_source().images(), 5) for vector in queries.tolist()]
    pages += [[(one.image.pk, round(one.distance, 6)) for one in page] for page in found]
    return [*pages, [get_store().condition(index).value for index in VisualIndex.objects.order_by("pk")]]


def wide_version() -> VisualIndex:
    index = VisualIndex.objects.create(
        source="product", encoder="tests.wide", fingerprint="1" * 64, dimensions=WIDE, state="retired"
    )
    keys = [str(key) for key in product_source().images().values_list("pk", flat=True)]
    ImageEmbedding.objects.bulk_create([ImageEmbedding(index=index, object_id=key, state="indexed") for key in keys])
    vectors = np.abs(np.random.default_rng(2).normal(0, 1, (len(keys), WIDE))).astype(np.float32)
    get_store().upsert(index, keys, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    get_store().prepare(index)
    return index


def functions() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'visualsearch%%' ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


def test_dump_and_restore_into_a_new_server(shop: list[Any], queue: Any, tmp_path: Path, drift_of: Any) -> None:
    wide = wide_version()
    queries = np.abs(np.random.default_rng(4).normal(0, 1, (3, WIDE))).astype(np.float32)
    before, made = answers(wide, queries), functions()
    assert before[-1] == ["ready", "ready"]
    assert made == [f"visualsearch_bits_{wide.pk}"]
    source, file = environment()["DATABASE_URL"], tmp_path / "shop.dump"
    with own_server() as server:
        server.run("pg_dump", "--format=custom", f"--file={file}", source)
        server.run(
            "pg_restore", "--no-owner", "--exit-on-error", "--jobs=2", f"--dbname={server.address(DATABASE)}", str(file)
        )
        with connected(server, migrated=False):
            assert answers(wide, queries) == before
            assert functions() == made
            VisualIndex.objects.filter(pk=wide.pk).delete()
            assert drift_of("--fix").keys() == {"index_left_over"}
            assert drift_of() == {}
            product = make_product(picture(shade(40)))
            queue.run()
            assert len(similar_to(product, 5)) == 5
            assert_true_rows()
    get_store().drop(wide)
