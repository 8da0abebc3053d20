"""What a photo is of, and the things in it, with the bundled weights and an index of real products."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from PIL import Image

from catalog.models import ProductImage
from tests.regions.shop import catalogue, collage, fill
from visualsearch import search_by_image
from visualsearch.encoders import Encoder, get_encoder
from visualsearch.exceptions import NoFeatureMap
from visualsearch.models import VisualIndex
from visualsearch.regions import centroids
from visualsearch.regions.focus import find_focus
from visualsearch.regions.looking import look, view_of
from visualsearch.regions.things import find_things
from visualsearch.regions.windows import overlap
from visualsearch.stores import get_store
from visualsearch.stores.graphs import hnsw_name
from visualsearch.stores.together import nearest_of_each

pytestmark = pytest.mark.django_db
ALL: Any = ProductImage.objects


@pytest.fixture
def index(shared_data: Path, use_settings: Any, queue: Any) -> VisualIndex:
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=None)
    return fill(shared_data)


@pytest.fixture
def encoder(index: VisualIndex) -> Encoder:
    return get_encoder()


def titles(near: Any) -> list[str]:
    return [ProductImage.objects.get(pk=one.image).product.title for one in near]


def test_the_subject_is_the_product_in_the_photo(index: VisualIndex, encoder: Encoder, shared_data: Path) -> None:
    found = []
    for number, photo in ((1, 7), (12, 60), (30, 200)):
        picture, (box,) = collage(shared_data, [number], photo)
        with CaptureQueriesContext(connection) as queries:
            focus = find_focus(encoder, index, picture, ALL.all())
        assert len(queries) <= (4 if number == 1 else 1)  # three more for the centroids, once
        assert np.linalg.norm(focus.vector) == pytest.approx(1, abs=1e-5)
        if focus.box is None:
            continue
        assert focus.similarity > focus.whole
        near = nearest_of_each(index, focus.vector[None], ALL.all(), 5)[0]
        same = catalogue(shared_data)[number].stem in titles(near)
        found.append(same and overlap(np.array(box), np.array([focus.box]))[0] > 0.15)
    assert sum(found) >= 2


def test_a_product_picture_is_whole(index: VisualIndex, encoder: Encoder, shared_data: Path) -> None:
    picture = Image.open(catalogue(shared_data)[3]).convert("RGB")
    focus = find_focus(encoder, index, picture, ALL.all())
    assert focus.box is None
    assert focus.similarity == focus.whole == pytest.approx(1, abs=0.01)
    assert np.array_equal(focus.vector, encoder.encode([picture])[0])


def test_two_things_in_a_collage(index: VisualIndex, encoder: Encoder, shared_data: Path) -> None:
    numbers = (1, 30)
    picture, boxes = collage(shared_data, numbers)
    with CaptureQueriesContext(connection) as queries:
        things = find_things(encoder, index, picture, ALL.all(), product="product")
    assert len(queries) <= 4  # three of them for the centroids, once
    assert 2 <= len(things) <= 5
    assert [thing.similarity for thing in things] == sorted((thing.similarity for thing in things), reverse=True)
    near = nearest_of_each(index, np.stack([thing.vector for thing in things]), ALL.all(), 4)
    found = dict(zip(things, map(titles, near), strict=True))
    for number, box in zip(numbers, boxes, strict=True):
        best = max(things, key=lambda thing: overlap(np.array(box), np.array([thing.box]))[0])
        assert overlap(np.array(box), np.array([best.box]))[0] > 0.15
        assert catalogue(shared_data)[number].stem in found[best]
    searched_for(picture, [thing.box for thing in things], [catalogue(shared_data)[number].stem for number in numbers])


def searched_for(picture: Image.Image, boxes: list[Any], wanted: list[str]) -> None:
    """The search itself finds the same things, the subject is one of them, and its explanation is of its own cosine."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    found = search_by_image(buffer.getvalue(), 4, focus="auto", objects=True, explain=True)
    assert found.objects is not None
    assert [thing.box for thing in found.objects] == [pytest.approx(tuple(box)) for box in boxes]
    assert set(wanted) <= {match.product.title for thing in found.objects for match in thing}
    assert found[0].product.title in wanted
    assert found.box == found.objects[0].box
    for match in found:
        assert match.explanation is not None
        assert match.explanation.shares.sum() == pytest.approx(1 - match.distance, abs=5e-3)


def test_only_what_is_eligible(index: VisualIndex, encoder: Encoder, shared_data: Path) -> None:
    picture, _ = collage(shared_data, [1, 30])
    some = ALL.filter(product__title__in=[path.stem for path in catalogue(shared_data)[:10]])
    near = look(view_of(encoder, picture), index, some, limit=9, distinct="product").near
    names = {title for rows in near for title in titles(rows)}
    assert names <= set(some.values_list("product__title", flat=True))
    assert find_things(encoder, index, picture, ALL.none()) == []
    assert find_focus(encoder, index, picture, ALL.none()).box is None


def test_an_empty_index(encoder: Encoder, index: VisualIndex, shared_data: Path) -> None:
    index.embeddings.all().delete()
    centroids.forget()
    picture, _ = collage(shared_data, [1])
    assert find_focus(encoder, index, picture, ALL.all()).box is None
    assert find_things(encoder, index, picture, ALL.all()) == []


def test_an_encoder_without_places(fake_encoder: None, db: None) -> None:
    index = VisualIndex(pk=1, fingerprint="f", dimensions=64)
    with pytest.raises(NoFeatureMap, match="finds no parts"):
        find_focus(get_encoder(), index, Image.new("RGB", (300, 300)), ALL.all())


@pytest.mark.parametrize("prepared", [True, False])
def test_asked_together_is_asked_one_by_one(index: VisualIndex, prepared: bool) -> None:
    if not prepared:
        get_store().drop(index)
    vectors = centroids.sample(index, 5)[:5] + np.float32(0.01)
    cheap = ALL.filter(product__category__name="Kind 1")
    for eligible in (ALL.all(), cheap):
        with CaptureQueriesContext(connection) as queries:
            together = nearest_of_each(index, vectors, eligible, 6, distinct="product")
        assert len(queries) <= 2
        for vector, near in zip(vectors, together, strict=True):
            alone = get_store().search(index, vector.tolist(), eligible, 6, exact=True)
            assert [one.image for one in near] == [one.image.pk for one in alone]
            assert [one.product for one in near] == [one.image.product_id for one in alone]
            assert [one.distance for one in near] == pytest.approx([one.distance for one in alone], abs=1e-4)


def test_fewer_are_eligible_than_asked(index: VisualIndex) -> None:
    vectors = centroids.sample(index, 2)[:2]
    few = ALL.filter(pk__in=ALL.values("pk")[:3])
    assert [len(near) for near in nearest_of_each(index, vectors, few, 9)] == [3, 3]
    assert nearest_of_each(index, vectors[:0], few, 9) == []


def test_centroids_are_kept_and_made_again(index: VisualIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    first = centroids.centroids_of(index)
    assert centroids.centroids_of(index) is first
    monkeypatch.setattr(centroids.time, "monotonic", lambda: 1e9)
    again = centroids.centroids_of(index)
    assert again is not first
    assert np.array_equal(again, first)


@pytest.mark.django_db(transaction=True)
def test_the_graph_can_answer(index: VisualIndex) -> None:
    """With 40 images PostgreSQL compares them all; told not to, it walks this version's graph for each vector."""
    vectors = centroids.sample(index, 3)[:3]
    with CaptureQueriesContext(connection) as queries:
        nearest_of_each(index, vectors, ALL.all(), 4, distinct="product")
    (asked,) = queries.captured_queries
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute("EXPLAIN " + asked["sql"][asked["sql"].index("SELECT asked") :])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert f"Index Scan using {hnsw_name(index)}" in plan
