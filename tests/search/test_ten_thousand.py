"""Ten thousand real embeddings: the version's own HNSW index answers, as exactly as asked, under any filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.gallery import Vectors, fill, pictures
from catalog.models import Product
from tests.encoders.built import ensure_built
from tests.shelf import product_source
from visualsearch import similar_to
from visualsearch.encoders import get_encoder
from visualsearch.encoders.base import Encoder, unit_rows
from visualsearch.images import open_image
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores import get_store
from visualsearch.stores.nearest import Nearest
from visualsearch.stores.pgvector import hnsw_name

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

COUNT = 10_000
QUERIES = 40
PARTS = [
    (slice(None), slice(None)),
    *((slice(y, y + 5), slice(x, x + 5)) for y in (0, 2) for x in (0, 2)),
]  # of a map of 7 x 7 places


def embedded_with_its_parts(encoder: Encoder) -> Vectors:
    """Unit vectors, float32 (COUNT, dimensions): each picture whole and its four overlapping corners, from one pass.

    A corner lies near its picture as another view of one product does.
    """
    paths = pictures()[: COUNT // len(PARTS)]
    sums = []
    for start in range(0, len(paths), 64):
        opened = [open_image(path.read_bytes()) for path in paths[start : start + 64]]
        places = encoder.feature_map(opened, (224, 224))
        sums.append(np.stack([places[:, *part].mean(axis=(1, 2)) for part in PARTS], axis=1))
    return unit_rows(np.concatenate(sums).reshape(COUNT, encoder.dimensions), (COUNT, encoder.dimensions))


@pytest.fixture(scope="module")
def _filled(django_db_setup: None, django_db_blocker: Any, shared_data: Any) -> Iterator[VisualIndex]:
    """Filled once for this module and committed: PostgreSQL does not use an index in the transaction that made it."""
    from django.core.management import call_command
    from django.test import override_settings

    weights = str(ensure_built("mobilenet_v2_compact"))
    own = {**settings.VISUALSEARCH, "ENCODER": "mobilenet_v2_compact", "WEIGHTS": weights}
    with override_settings(VISUALSEARCH=own), django_db_blocker.unblock():
        encoder = get_encoder()
        vectors = embedded_with_its_parts(encoder)
        index = fill(product_source(), encoder, "mobilenet_v2_compact", vectors)
        yield index
        # The graph would outlive the rows, and its number must not come again: it holds vectors of this length alone.
        get_store().drop(index)
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


@pytest.fixture
def index(_filled: VisualIndex, db: None) -> VisualIndex:
    return _filled


@pytest.fixture
def queries(index: VisualIndex) -> list[tuple[Product, list[float]]]:
    """Products and their own vectors, evenly spread."""
    products = Product.objects.filter(title__in=[f"Product {n}" for n in range(0, COUNT, COUNT // QUERIES)])
    keys = {product.pk: str(product.images.get().pk) for product in products.prefetch_related("images")}
    rows = {row.object_id: row.vector for row in ImageEmbedding.objects.filter(object_id__in=keys.values())}
    return [(product, rows[keys[product.pk]]) for product in products]


def exact(index: VisualIndex, product: Product, vector: list[float], filters: Any = None) -> list[Any]:
    eligible = product_source().eligible_images(filters).exclude(product=product.pk)
    found = get_store().search(index, vector, eligible, 10, distinct="product", exact=True)
    return [neighbour.image.pk for neighbour in found]


def test_recall_against_exact_search(index: VisualIndex, queries: list[Any]) -> None:
    recall, missed = [], {}
    for product, vector in queries:
        truth = exact(index, product, vector)
        found = [match.image.pk for match in similar_to(product, 10)]
        recall.append(len(set(truth) & set(found)) / len(truth))
        if recall[-1] < 1:
            missed[product.title] = (truth, found)
    assert len(recall) == QUERIES
    assert np.mean(recall) >= 0.99, missed


@pytest.mark.parametrize("minimum", [900, 990, 997])
def test_page_is_full_and_right_under_a_filter(index: VisualIndex, queries: list[Any], minimum: int) -> None:
    """The price is n % 1000: these filters keep 10%, 1% and 0.3% of the products."""
    filters = {"price_min": minimum}
    recall = []
    for product, vector in queries[:10]:
        found = similar_to(product, 10, filters)
        assert len(found) == 10
        assert all(match.product.price >= minimum for match in found)
        truth = exact(index, product, vector, filters)
        recall.append(len(set(truth) & {match.image.pk for match in found}) / len(truth))
    assert np.mean(recall) >= 0.99


def test_the_versions_own_hnsw_index_is_used(index: VisualIndex, queries: list[Any]) -> None:
    product, vector = queries[0]
    eligible = product_source().eligible_images().exclude(product=product.pk)
    query = Nearest(index, vector, eligible, 10, distinct="product")
    plan = query.by_graph().explained(analyze=True)
    near = plan[plan.index("CTE near") : plan.index("CTE page")]
    assert f"Index Scan using {hnsw_name(index)}" in near
    every = plan[plan.rindex("Limit") :]
    assert "(never executed)" in every, "the exact scan is not started where the graph fills the page"


def test_settings_last_for_the_one_statement(index: VisualIndex, queries: list[Any], use_settings: Any) -> None:
    use_settings(EF_SEARCH=123)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        similar_to(queries[0][0], 5)
    assert "SET LOCAL hnsw.ef_search = 123" in captured.captured_queries[-1]["sql"]
    assert "SET LOCAL hnsw.iterative_scan = relaxed_order" in captured.captured_queries[-1]["sql"]


def test_graph_that_gives_up_is_made_good_by_an_exact_scan(index: VisualIndex, queries: list[Any]) -> None:
    """With one tuple allowed, the walk cannot pass the filter; the page is full and exact nevertheless."""
    product, vector = queries[0]
    filters = {"price_min": 995}
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL hnsw.max_scan_tuples = 1; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
        )
    found = [match.image.pk for match in similar_to(product, 10, filters)]
    assert found == exact(index, product, vector, filters)
