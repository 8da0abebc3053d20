"""The database's own index: dropped by hand, and after months of replaced and identical pictures."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from django.db import connection

from catalog.models import Product, ProductImage
from tests.drift.conftest import drift_of as drift_of
from tests.drift.conftest import no_graphs as no_graphs
from tests.drift.conftest import shop as shop
from tests.shelf import category, product_source
from visualsearch import lifecycle, similar_to, tasks
from visualsearch.models import ImageEmbedding, VisualIndex, active_index
from visualsearch.status import status_of
from visualsearch.stores import get_store
from visualsearch.stores.pgvector import hnsw_name

pytestmark = [pytest.mark.fault]

ROWS, SAME_PICTURES, DIMENSIONS, CLUSTERS = 3_000, 1_000, 128, 60
QUERIES = 100
FILE = "products/one.png"
LIMIT = 10
TIES = 1e-4  # of half-precision distances: of identical pictures any may be found


def drop_by_hand() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {hnsw_name(active_index(product_source()))}")


def test_dropped_index_is_found_and_made_again(shop: list[ProductImage], drift_of: Any) -> None:
    """Searches stay right meanwhile, by comparing everything; the next saved image mends it, and so does reconcile."""
    products = list(Product.objects.order_by("pk"))
    before = [[match.product.pk for match in similar_to(product, 5)] for product in products]
    drop_by_hand()
    assert [[match.product.pk for match in similar_to(product, 5)] for product in products] == before
    assert not status_of(product_source()).prepared
    assert drift_of() == {"index_missing": [""]}
    assert drift_of("--fix") == {"index_missing": [""]}
    assert status_of(product_source()).prepared
    drop_by_hand()
    tasks.index_images("product", [str(shop[0].pk)])
    assert status_of(product_source()).prepared
    assert drift_of() == {}
    assert [[match.product.pk for match in similar_to(product, 5)] for product in products] == before


def clustered(count: int, centres: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Unit vectors around some centres, as pictures of a catalogue are around its kinds of goods."""
    near = centres[noise.integers(0, len(centres), count)] + noise.normal(0, 0.08, (count, DIMENSIONS))
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def new_rows(index: VisualIndex, vectors: np.ndarray) -> list[str]:
    """Images with these vectors, in an index version of the database."""
    product = Product.objects.create(title="P", sku=f"S{time.monotonic_ns()}", price=1, stock=1, category=category())
    own = [ProductImage(product=product, image=FILE, width=40, height=40) for _ in vectors]
    images = ProductImage.objects.bulk_create(own)
    keys = [str(image.pk) for image in images]
    ImageEmbedding.objects.bulk_create(
        [ImageEmbedding(index=index, object_id=key, state="indexed", file=FILE) for key in keys]
    )
    get_store().upsert(index, keys, vectors)
    return keys


def recall(index: VisualIndex, queries: np.ndarray) -> float:
    """Share of the ten nearest images that the graph finds."""
    found, images = [], product_source().images()
    for vector in queries.tolist():
        page = get_store().search(index, vector, images, LIMIT)
        truth = get_store().search(index, vector, images, LIMIT, exact=True)
        found.append(sum(one.distance <= truth[-1].distance + TIES for one in page) / LIMIT)
    return float(np.mean(found))


def test_recall_after_churn(no_graphs: None) -> None:
    """30% of the rows are replaced, half of them by update and half by delete and insert; VACUUM; and then a thousand
    identical pictures."""
    noise = np.random.default_rng(5)
    centres = noise.normal(0, 1, (CLUSTERS, DIMENSIONS))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    index = VisualIndex.objects.create(
        source="product", encoder="tests.none", fingerprint="0" * 64, dimensions=DIMENSIONS, state="active"
    )
    try:
        keys = new_rows(index, clustered(ROWS, centres, noise))
        get_store().prepare(index)
        replaced = noise.permutation(keys)[: ROWS * 3 // 10].tolist()
        updated, deleted = replaced[::2], replaced[1::2]
        get_store().upsert(index, updated, clustered(len(updated), centres, noise))
        ProductImage.objects.filter(pk__in=deleted)._raw_delete(using="default")
        get_store().delete(index, deleted)
        new_rows(index, clustered(len(deleted), centres, noise))
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE visualsearch_imageembedding")
        new_rows(index, np.repeat(clustered(1, centres, noise), SAME_PICTURES, axis=0))
        queries = clustered(QUERIES, centres, noise)
        measured = recall(index, queries)
        print(f"recall@{LIMIT} after churn, with {SAME_PICTURES} identical pictures: {measured:.4f}")
        assert lifecycle.listed(product_source())[0].graph == "ready"
        assert measured >= 0.98
    finally:
        index.delete()
        get_store().drop_leftovers()
