"""Products with so many alike images that the first rows name too few products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Product, ProductImage
from tests.shelf import make_product, product_source
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores import get_store
from visualsearch.stores.nearest import Nearest, Walk
from visualsearch.testing import FakeEncoder

pytestmark = pytest.mark.django_db

PRODUCTS, IMAGES, LIMIT = 15, 12, 10


@pytest.fixture
def index(fake_encoder: None, queue: Any) -> VisualIndex:
    """Fifteen products side by side, each with a dozen images that are nearer to each other than to any other's."""
    encoder = FakeEncoder()
    index = VisualIndex.objects.create(
        source="product", encoder="fake", fingerprint=encoder.fingerprint, dimensions=encoder.dimensions, state="active"
    )
    products = [make_product() for _ in range(PRODUCTS)]
    images = ProductImage.objects.bulk_create(
        [
            ProductImage(product=product, image=f"{n}.png", width=9, height=9)
            for product in products
            for n in range(IMAGES)
        ]
    )
    keys = [str(image.pk) for image in images]
    ImageEmbedding.objects.bulk_create(
        [ImageEmbedding(index=index, object_id=key, state="indexed", file="x.png") for key in keys]
    )
    get_store().upsert(index, keys, vectors())
    return index


def vectors() -> Any:
    places = np.repeat(np.arange(PRODUCTS), IMAGES) * 0.05 + np.tile(np.arange(IMAGES), PRODUCTS) * 0.001
    found = np.zeros((PRODUCTS * IMAGES, FakeEncoder.dimensions), np.float32)
    found[:, 0], found[:, 1] = np.cos(places), np.sin(places)
    return found


def search(index: VisualIndex, **options: Any) -> list[Product]:
    eligible = product_source().eligible_images()
    found = get_store().search(
        index, vectors()[0].tolist(), eligible, LIMIT, distinct="product", related=["product"], **options
    )
    return [neighbour.image.product for neighbour in found]


def test_page_is_full_and_true(index: VisualIndex) -> None:
    expected = list(Product.objects.order_by("pk")[:LIMIT])
    assert search(index) == expected
    assert search(index, exact=True) == expected


def test_a_wider_walk_fills_the_page_and_not_a_comparison_with_every_row(index: VisualIndex) -> None:
    query = Nearest(index, vectors()[0].tolist(), product_source().eligible_images(), LIMIT, distinct="product")
    first = query.by_graph().fetched()
    assert len(first) < LIMIT
    assert {image.visualsearch_walk for image in first} == {Walk.SHORT}
    plan = query.by_other_ways(wide=True).explained(analyze=True)
    assert f"rows={PRODUCTS * IMAGES}.00" in plan[plan.index("CTE wide\n") : plan.index("CTE page")]
    assert "(never executed)" in plan[plan.rindex("Limit") :]


def test_the_wider_walk_is_not_begun_where_the_first_was_enough(index: VisualIndex) -> None:
    with CaptureQueriesContext(connection) as captured:
        query = Nearest(index, vectors()[0].tolist(), product_source().eligible_images(), 1, distinct="product")
        assert len(query.found()) == 1
    assert len(captured.captured_queries) == 1
