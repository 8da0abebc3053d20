"""What every store promises. A new store is tested by one more subclass of StoreContract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction

from catalog.models import ProductImage
from tests.shelf import make_product
from visualsearch.exceptions import StoreError
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores import Store, get_store
from visualsearch.stores.pgvector import PgVectorStore, hnsw_name

DIMENSIONS = 64
# Radians from one image to the next. Half precision tells distances apart down to about 0.0005.
STEP = 0.05


def unit(angle: float, dimensions: int = DIMENSIONS) -> Any:
    vector = np.zeros(dimensions, np.float32)
    vector[:2] = np.cos(angle), np.sin(angle)
    return vector


class StoreContract:
    """Forty images whose vectors stand at 0, 1, 2 ... steps."""

    store: Store

    @pytest.fixture(autouse=True)
    def _nothing_queued(self, db: None, queue: Any) -> None:
        pass

    @pytest.fixture
    def index(self) -> VisualIndex:
        fields = {"source": "product", "encoder": "x", "fingerprint": "f" * 64, "dimensions": DIMENSIONS}
        return VisualIndex.objects.create(state="active", **fields)

    @pytest.fixture
    def images(self, index: VisualIndex) -> list[ProductImage]:
        product = make_product()
        made = ProductImage.objects.bulk_create(
            [ProductImage(product=product, image=f"{n}.jpg", width=9, height=9, position=n % 4) for n in range(40)]
        )
        ImageEmbedding.objects.bulk_create([ImageEmbedding(index=index, object_id=str(image.pk)) for image in made])
        vectors = np.stack([unit(STEP * n) for n in range(40)])
        self.store.upsert(index, [str(image.pk) for image in made], vectors)
        return made

    def found(self, index: VisualIndex, angle: float, limit: int, **options: Any) -> list[int]:
        eligible = options.pop("eligible", ProductImage.objects.all())
        return [n.image.pk for n in self.store.search(index, unit(angle).tolist(), eligible, limit, **options)]

    @pytest.mark.parametrize("prepared", [False, True])
    def test_nearest_first(self, index: VisualIndex, images: list[ProductImage], prepared: bool) -> None:
        if prepared:
            self.store.prepare(index)
        assert self.found(index, -0.1, 5) == [image.pk for image in images[:5]]
        (nearest,) = self.store.search(index, unit(20 * STEP).tolist(), ProductImage.objects.all(), 1)
        assert nearest.image == images[20]
        assert nearest.distance == pytest.approx(0, abs=1e-3)

    def test_exact_agrees(self, index: VisualIndex, images: list[ProductImage]) -> None:
        self.store.prepare(index)
        assert self.found(index, 17.3 * STEP, 10, exact=True) == self.found(index, 17.3 * STEP, 10)

    @pytest.mark.parametrize("prepared", [False, True])
    def test_only_eligible(self, index: VisualIndex, images: list[ProductImage], prepared: bool) -> None:
        if prepared:
            self.store.prepare(index)
        eligible = ProductImage.objects.filter(pk__in=[images[3].pk, images[39].pk])
        assert self.found(index, 0, 5, eligible=eligible) == [images[3].pk, images[39].pk]
        assert self.found(index, 0, 5, eligible=ProductImage.objects.none()) == []

    def test_distinct(self, index: VisualIndex, images: list[ProductImage]) -> None:
        assert self.found(index, -0.1, 10, distinct="position") == [image.pk for image in images[:4]]
        assert self.found(index, -0.1, 2, distinct="position") == [image.pk for image in images[:2]]

    def test_related_comes_along(
        self, index: VisualIndex, images: list[ProductImage], django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(1):
            found = self.store.search(index, unit(0).tolist(), ProductImage.objects.all(), 5, related=["product"])
            assert len({neighbour.image.product.title for neighbour in found}) == 1

    def test_upsert_replaces(self, index: VisualIndex, images: list[ProductImage]) -> None:
        self.store.upsert(index, [str(images[39].pk)], unit(-0.1)[None])
        assert self.found(index, -0.1, 1) == [images[39].pk]
        self.store.upsert(index, [], np.empty((0, DIMENSIONS), np.float32))

    def test_upsert_joins_the_callers_transaction(self, index: VisualIndex, images: list[ProductImage]) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            self.store.upsert(index, [str(images[39].pk)], unit(-0.1)[None])
            raise RuntimeError
        assert self.found(index, -0.1, 1) == [images[0].pk]

    def test_delete(self, index: VisualIndex, images: list[ProductImage]) -> None:
        self.store.delete(index, [str(images[0].pk), "no such"])
        assert self.found(index, -0.1, 1) == [images[1].pk]

    def test_versions_are_apart(self, index: VisualIndex, images: list[ProductImage]) -> None:
        other = VisualIndex.objects.create(source="product", encoder="y", fingerprint="g", dimensions=DIMENSIONS)
        ImageEmbedding.objects.create(index=other, object_id=str(images[39].pk))
        self.store.upsert(other, [str(images[39].pk)], unit(-0.1)[None])
        self.store.prepare(other)
        assert self.found(index, -0.1, 1) == [images[0].pk]
        assert self.found(other, 0.3, 5) == [images[39].pk]
        self.store.delete(other, [str(images[39].pk)])
        assert len(self.found(index, 0, 40)) == 40

    def test_prepare_and_drop_can_be_repeated(self, index: VisualIndex, images: list[ProductImage]) -> None:
        assert not self.store.is_prepared(index)
        for _ in range(2):
            self.store.prepare(index)
            assert self.store.is_prepared(index)
        for _ in range(2):
            self.store.drop(index)
            assert not self.store.is_prepared(index)
        assert self.found(index, -0.1, 1) == [images[0].pk]


class TestPgVector(StoreContract):
    store = PgVectorStore()

    def test_is_the_default(self) -> None:
        assert isinstance(get_store(), PgVectorStore)

    def test_too_many_dimensions_are_refused(self) -> None:
        wide = VisualIndex(pk=1, source="product", encoder="wide", fingerprint="w", dimensions=4001)
        with pytest.raises(StoreError, match="at most 4000 dimensions; encoder 'wide' has 4001"):
            self.store.prepare(wide)


@pytest.mark.django_db(transaction=True)
def test_interrupted_build_is_taken_up_again(queue: Any) -> None:
    """CREATE INDEX CONCURRENTLY that was cut short leaves an invalid index; prepare() replaces it."""
    index = VisualIndex.objects.create(source="product", encoder="x", fingerprint="f", dimensions=64, state="active")
    store = PgVectorStore()
    store.prepare(index)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [hnsw_name(index)])
    assert not store.is_prepared(index)
    store.prepare(index)
    assert store.is_prepared(index)


@pytest.mark.django_db(transaction=True)
def test_state_changes_leave_the_graph_alone(queue: Any) -> None:
    """A changed state is a heap-only update: it adds nothing to the HNSW index."""
    product = make_product()
    image = ProductImage.objects.create(product=product, image="a.jpg", width=9, height=9)
    index = VisualIndex.objects.create(source="product", encoder="x", fingerprint="f", dimensions=64, state="active")
    ImageEmbedding.objects.create(index=index, object_id=str(image.pk))
    store = PgVectorStore()
    store.upsert(index, [str(image.pk)], unit(0)[None])
    store.prepare(index)
    before = heap_only_updates()
    for state in ("pending", "failed", "indexed"):
        ImageEmbedding.objects.update(state=state, claim=7, attempts=2)
    assert heap_only_updates() - before == 3


def heap_only_updates() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'visualsearch_imageembedding'")
        return int(cursor.fetchone()[0])
