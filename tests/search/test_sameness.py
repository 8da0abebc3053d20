"""How near pictures are that are nearly the same: measured by tasks and before a version is used, not by customers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from catalog.models import ProductImage
from tests.search.crowd import crowd
from tests.search.test_options import rows
from tests.shelf import product_source
from visualsearch import lifecycle, similar_to
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.regions import centroids
from visualsearch.search import sameness
from visualsearch.search.sameness import COPY, follow, same_within
from visualsearch.stores import get_store

pytestmark = pytest.mark.django_db


@pytest.fixture
def index(fake_encoder: None, use_settings: Any) -> VisualIndex:
    use_settings(ENQUEUE="visualsearch.testing.enqueue_nothing")
    crowd(rows())
    return VisualIndex.objects.get()


def test_measured_by_the_task_that_fills(index: VisualIndex, django_assert_num_queries: Any) -> None:
    lifecycle.prepare(product_source())
    found = VisualIndex.objects.get().nearness
    assert found["images"] == 48
    assert COPY < found["within"] < 0.1
    product = ProductImage.objects.order_by("pk")[0].product
    with django_assert_num_queries(4):  # its own vectors, the neighbours, their vectors, the images
        similar_to(product, 5, fold=True)


def test_measured_anew_where_it_has_grown(index: VisualIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(index)
    before = dict(index.nearness)
    measured: list[int] = []
    monkeypatch.setattr(sameness, "measure", lambda index: measured.append(index.pk))
    follow(VisualIndex.objects.get())
    more = [ImageEmbedding(index=index, object_id=f"n{n}", state="pending") for n in range(24)]
    ImageEmbedding.objects.bulk_create(more[:23])
    follow(VisualIndex.objects.get())
    assert not measured
    ImageEmbedding.objects.bulk_create(more[23:])
    follow(VisualIndex.objects.get())
    assert measured == [index.pk]
    assert VisualIndex.objects.get().nearness == before


def test_a_customer_measures_where_no_task_has(index: VisualIndex) -> None:
    assert index.nearness is None
    within = same_within(index)
    assert VisualIndex.objects.get().nearness["within"] == within


def test_few_images_have_only_copies(fake_encoder: None, use_settings: Any) -> None:
    use_settings(ENQUEUE="visualsearch.testing.enqueue_nothing")
    crowd(rows()[:12])
    assert same_within(VisualIndex.objects.get()) == COPY


def test_the_next_version_has_its_own(index: VisualIndex) -> None:
    """Also its own centroids, without anybody having said that another version is in use."""
    centroids.forget()
    source, before = product_source(), centroids.centroids_of(index)
    other = lifecycle.begin(source)
    keys = [row.object_id for row in ImageEmbedding.objects.filter(index=index)]
    ImageEmbedding.objects.bulk_create(
        [ImageEmbedding(index=other, object_id=key, state="indexed", file="x.png") for key in keys]
    )
    get_store().upsert(other, keys, rows()[::-1])
    lifecycle.activate(source, other, force=True)
    active = VisualIndex.objects.get(state="active")
    assert (active.pk, active.nearness["images"]) == (other.pk, 48)
    assert not np.array_equal(centroids.centroids_of(active), before)
