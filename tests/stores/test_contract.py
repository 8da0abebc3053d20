"""What every store promises. A new store is tested by one more subclass of StoreContract."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction

from benchmarks.gallery import fill
from catalog.models import ProductImage
from tests.shelf import make_product, product_source
from visualsearch.exceptions import StoreError
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores import Condition, Store, get_store
from visualsearch.stores.nearest import Nearest
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
    dimensions = DIMENSIONS
    queries = 1

    @pytest.fixture(autouse=True)
    def _nothing_queued(self, db: None, queue: Any) -> None:
        pass

    @pytest.fixture
    def index(self) -> VisualIndex:
        fields = {"source": "product", "encoder": "x", "fingerprint": "f" * 64, "dimensions": self.dimensions}
        return VisualIndex.objects.create(state="active", **fields)

    @pytest.fixture
    def images(self, index: VisualIndex) -> list[ProductImage]:
        product = make_product()
        made = ProductImage.objects.bulk_create(
            [ProductImage(product=product, image=f"{n}.jpg", width=9, height=9, position=n % 4) for n in range(40)]
        )
        ImageEmbedding.objects.bulk_create([ImageEmbedding(index=index, object_id=str(image.pk)) for image in made])
        vectors = np.stack([self.unit(STEP * n) for n in range(40)])
        self.store.upsert(index, [str(image.pk) for image in made], vectors)
        return made

    def unit(self, angle: float) -> Any:
        return unit(angle, self.dimensions)

    def found(self, index: VisualIndex, angle: float, limit: int, **options: Any) -> list[int]:
        eligible = options.pop("eligible", ProductImage.objects.all())
        return [n.image.pk for n in self.store.search(index, self.unit(angle).tolist(), eligible, limit, **options)]

    @pytest.mark.parametrize("prepared", [False, True])
    def test_nearest_first(self, index: VisualIndex, images: list[ProductImage], prepared: bool) -> None:
        if prepared:
            self.store.prepare(index)
        assert self.found(index, -0.1, 5) == [image.pk for image in images[:5]]
        (nearest,) = self.store.search(index, self.unit(20 * STEP).tolist(), ProductImage.objects.all(), 1)
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
        with django_assert_num_queries(self.queries):
            found = self.store.search(index, self.unit(0).tolist(), ProductImage.objects.all(), 5, related=["product"])
            assert len({neighbour.image.product.title for neighbour in found}) == 1

    @pytest.mark.parametrize("prepared", [False, True])
    def test_a_vector_that_is_the_mean_of_stored_ones(
        self, index: VisualIndex, images: list[ProductImage], prepared: bool
    ) -> None:
        if prepared:
            self.store.prepare(index)
        anchors = [str(images[place].pk) for place in (10, 11, 13)]
        assert self.found(index, 34 / 3 * STEP, 3, anchors=anchors) == [images[place].pk for place in (11, 12, 10)]

    def test_a_vector_whose_images_are_gone_since(self, index: VisualIndex, images: list[ProductImage]) -> None:
        self.store.delete(index, [str(images[0].pk)])
        assert self.found(index, 0, 3, anchors=[str(images[0].pk)]) == [image.pk for image in images[1:4]]

    def test_upsert_replaces(self, index: VisualIndex, images: list[ProductImage]) -> None:
        self.store.upsert(index, [str(images[39].pk)], self.unit(-0.1)[None])
        assert self.found(index, -0.1, 1) == [images[39].pk]
        self.store.upsert(index, [], np.empty((0, self.dimensions), np.float32))

    def test_upsert_joins_the_callers_transaction(self, index: VisualIndex, images: list[ProductImage]) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            self.store.upsert(index, [str(images[39].pk)], self.unit(-0.1)[None])
            raise RuntimeError
        assert self.found(index, -0.1, 1) == [images[0].pk]

    def test_delete(self, index: VisualIndex, images: list[ProductImage]) -> None:
        self.store.delete(index, [str(images[0].pk), "no such"])
        assert self.found(index, -0.1, 1) == [images[1].pk]

    def test_versions_are_apart(self, index: VisualIndex, images: list[ProductImage]) -> None:
        other = VisualIndex.objects.create(source="product", encoder="y", fingerprint="g", dimensions=self.dimensions)
        ImageEmbedding.objects.create(index=other, object_id=str(images[39].pk))
        self.store.upsert(other, [str(images[39].pk)], self.unit(-0.1)[None])
        self.store.prepare(other)
        assert self.found(index, -0.1, 1) == [images[0].pk]
        assert self.found(other, 0.3, 5) == [images[39].pk]
        self.store.delete(other, [str(images[39].pk)])
        assert len(self.found(index, 0, 40)) == 40

    def test_unfit_vectors_are_named(self, index: VisualIndex, images: list[ProductImage]) -> None:
        keys = [str(image.pk) for image in images]
        assert list(self.store.unfit(index)) == []
        self.store.upsert(index, keys[:2], np.stack([unit(0, self.dimensions) * 2, unit(0, self.dimensions) * 0]))
        self.store.upsert(index, keys[2:3], unit(0, self.dimensions + 1)[None])
        assert sorted(self.store.unfit(index)) == [
            (keys[0], "length 2"),
            (keys[1], "length 0"),
            (keys[2], f"{self.dimensions + 1} dimensions"),
        ]

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_vector_that_is_not_finite_cannot_be_stored(
        self, index: VisualIndex, images: list[ProductImage], value: float
    ) -> None:
        with pytest.raises(StoreError, match="not allowed in vector"), transaction.atomic():
            self.store.upsert(index, [str(images[0].pk)], np.full((1, self.dimensions), value, np.float32))

    def test_what_a_deleted_version_left_is_found_and_dropped(
        self, index: VisualIndex, images: list[ProductImage]
    ) -> None:
        self.store.prepare(index)
        self.store.drop_leftovers()  # of other tests
        assert self.store.leftovers() == []
        VisualIndex.objects.filter(pk=index.pk).delete()
        left = self.store.leftovers()
        assert left
        assert self.store.drop_leftovers() == left
        assert self.store.leftovers() == []

    def test_prepare_and_drop_can_be_repeated(self, index: VisualIndex, images: list[ProductImage]) -> None:
        assert not self.store.is_prepared(index)
        for _ in range(2):
            self.store.prepare(index)
            assert self.store.is_prepared(index)
            assert self.store.condition(index) == Condition.READY
        for _ in range(2):
            self.store.drop(index)
            assert not self.store.is_prepared(index)
            assert self.store.condition(index) == Condition.MISSING
        assert self.found(index, -0.1, 1) == [images[0].pk]


class TestPgVector(StoreContract):
    store = PgVectorStore()

    def test_is_the_default(self) -> None:
        assert isinstance(get_store(), PgVectorStore)

    def test_too_many_dimensions_are_refused(self) -> None:
        wide = VisualIndex(pk=1, source="product", encoder="wide", fingerprint="w", dimensions=16_001)
        with pytest.raises(StoreError, match="at most 16000 dimensions; encoder 'wide' has 16001"):
            self.store.prepare(wide)


class TestPgVectorBeyondHalfPrecision(StoreContract):
    """4,096 dimensions: the graph holds bits."""

    store = PgVectorStore()
    dimensions = 4096
    queries = 2  # one asks whether there is a graph: without it there is nothing that makes bits


@pytest.mark.django_db
def test_a_graph_of_other_dimensions_is_invalid_and_made_anew(queue: Any) -> None:
    """As after ``flush``: the version's number came again, and the graph of the old one still stands."""
    fields = {"source": "product", "encoder": "x", "fingerprint": "f", "state": "active"}
    old, store = VisualIndex.objects.create(**fields, dimensions=64), PgVectorStore()
    store.prepare(old)
    VisualIndex.objects.filter(pk=old.pk).delete()
    new = VisualIndex.objects.create(pk=old.pk, **fields, dimensions=128)
    assert store.condition(new) == Condition.INVALID
    store.prepare(new)
    assert store.condition(new) == Condition.READY
    ImageEmbedding.objects.create(index=new, object_id="1")
    store.upsert(new, ["1"], unit(0, 128)[None])


@pytest.mark.django_db(transaction=True)
def test_recall_of_bits_with_features_that_are_never_negative(queue: Any) -> None:
    """Features as behind a ReLU, in families that share most of what they have: signs alone would tell nothing."""
    random = np.random.default_rng(5)
    families = random.standard_normal((60, 256), np.float32).repeat(20, axis=0)
    spread = (families + 0.5 * random.standard_normal(families.shape, np.float32)) @ random.standard_normal((256, 4096))
    wide = np.maximum(spread, 0).astype(np.float32)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    index = fill(product_source(), SimpleNamespace(fingerprint="w", dimensions=4096), "x.Wide", wide)  # type: ignore[arg-type]
    store, eligible = PgVectorStore(), product_source().eligible_images()
    recall = []
    for number in range(0, len(wide), 60):
        pages = [
            {n.image.pk for n in store.search(index, wide[number].tolist(), eligible, 10, exact=exact)}
            for exact in (False, True)
        ]
        recall.append(len(pages[0] & pages[1]) / 10)
    assert np.mean(recall) >= 0.95
    plan = Nearest(index, wide[0].tolist(), eligible, 10).by_graph().explained("SET LOCAL enable_sort = off; ")
    assert f"Index Scan using {hnsw_name(index)}" in plan
    store.drop(index)


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
