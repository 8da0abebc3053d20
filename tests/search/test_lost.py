"""Products that no way through the graph leads to are found by those of their kind all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from django.db import connection

from catalog.models import Product
from tests.search.crowd import around, crowd
from visualsearch import similar_to
from visualsearch.models import VisualIndex
from visualsearch.stores import get_store
from visualsearch.stores.pgvector import hnsw_name

pytestmark = pytest.mark.django_db(transaction=True)

CLOTHES, WATCHES = 300, 6


@pytest.fixture
def watches(queue: Any, fake_encoder: None) -> Iterator[list[Product]]:
    """A few products far from all others, whose vectors came when the graph was taking none."""
    angles = np.linspace(0, 1, CLOTHES + WATCHES)
    products = crowd(around(angles.tolist()))
    index, store = VisualIndex.objects.get(), get_store()
    store.prepare(index)
    far = products[-WATCHES:]
    keys = [str(product.images.get().pk) for product in far]
    with connection.cursor() as cursor:
        ready = "UPDATE pg_index SET indisready = %s WHERE indexrelid = %s::regclass"
        cursor.execute(ready, [False, hnsw_name(index)])
        store.upsert(index, keys, around(np.linspace(2.5, 2.51, WATCHES).tolist()))
        cursor.execute(ready, [True, hnsw_name(index)])
        cursor.execute("SET enable_seqscan = off; SET enable_sort = off")
        yield far
        cursor.execute("RESET enable_seqscan; RESET enable_sort")
    store.drop(index)


def test_a_search_that_does_not_come_by_its_own_image_compares_all(watches: list[Product]) -> None:
    found = similar_to(watches[0], WATCHES - 1)
    assert {match.product for match in found} == set(watches[1:])


def test_the_walk_alone_does_not_find_them(watches: list[Product]) -> None:
    index = VisualIndex.objects.get()
    vector = around([2.5])[0].tolist()
    found = get_store().search(index, vector, type(watches[0].images.get()).objects.all(), WATCHES, distinct="product")
    assert not {one.image.product_id for one in found} & {product.pk for product in watches}


def test_a_product_that_is_not_for_sale_finds_others(watches: list[Product]) -> None:
    """It is eligible no more, so that no walk comes by it, and none is thought lost for that."""
    Product.objects.filter(pk=watches[0].pk).update(is_published=False)
    assert len(similar_to(watches[0], 5)) == 5
