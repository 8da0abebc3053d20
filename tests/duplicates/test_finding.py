"""Which pairs are found, how they hang together, and what dismissing does: against comparing everything."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import Image

from catalog.models import Product, ProductImage
from tests import recorded_queue
from tests.duplicates.conftest import (
    DIFFERENT,
    PLACEHOLDER,
    WITHIN,
    active,
    different,
    groups,
    index_images,
    keys,
    stock,
    titles,
    twins,
)
from tests.goods import sources as goods
from tests.goods.models import Garment, Poster, PosterScan
from tests.shelf import index_everything, make_product, product_source
from visualsearch import duplicates
from visualsearch.duplicates import queueing, searching
from visualsearch.exceptions import AnotherOperator, VersionRefused
from visualsearch.models import DismissedPair, DuplicatePair, DuplicateSearch, ImageEmbedding, VisualIndex, rows

PAIR, THREE, OFF = {60, 61}, {62, 63, 64}, {65, 66}


def test_pairs_and_groups_of_different_products(shop: list[Product], django_assert_max_num_queries: Any) -> None:
    found = duplicates.search(product_source())
    assert (found.images, found.total) == (DIFFERENT + 8, DIFFERENT + 8)
    with django_assert_max_num_queries(6):
        seen = groups(found)
    assert sorted(map(titles, seen), key=min) == [PAIR, THREE, OFF]
    by = {group.products: group for group in seen}
    assert by[3].count == 3, "and the two pictures of one product are no pair"
    assert all(0 < group.distance < 0.001 for group in seen)
    assert seen == sorted(seen, key=lambda group: group.distance)
    off = next(group for group in seen if titles(group) == OFF)
    assert [side.is_shown for side in off.sides] == [True, False]
    assert not any(pair.same_file for group in seen for pair in group.pairs)


def test_the_nearest_two_pictures_stand_for_a_pair(shop: list[Product]) -> None:
    found = duplicates.search(product_source())
    vectors = {row.object_id: np.asarray(row.vector) for row in rows(found.index)}
    for pair in found.pairs.all():
        sides = [
            [str(pk) for pk in ProductImage.objects.filter(product=key).values_list("pk", flat=True)]
            for key in (pair.first, pair.second)
        ]
        nearest = min((1 - vectors[one] @ vectors[other], one, other) for one in sides[0] for other in sides[1])
        assert (pair.first_image, pair.second_image) == nearest[1:]
        assert pair.distance == pytest.approx(nearest[0], abs=2e-5)


def test_steps_are_taken_once_and_a_finished_search_replaces_the_one_before(shop: list[Product]) -> None:
    source = product_source()
    before = duplicates.search(source)
    first = duplicates.begin(source)
    assert duplicates.step(first, 20) == 20
    same = DuplicateSearch.objects.get(pk=first.pk)
    assert duplicates.step(first, 20) == 20
    with pytest.raises(AnotherOperator, match="goes on; this one ends"):
        duplicates.step(same, 20)
    assert duplicates.latest(source) == before
    assert duplicates.under_way(source) == first
    while duplicates.step(first, 20):
        pass
    assert duplicates.latest(source) == first
    assert DuplicateSearch.objects.count() == 1
    assert DuplicatePair.objects.count() == 5
    assert list(map(titles, groups(first))) == list(map(titles, groups(before := duplicates.search(source))))
    with pytest.raises(AnotherOperator):
        duplicates.step(first)
    assert before.pairs.count() == 5


def test_memory_and_statements_are_those_of_a_step(shop: list[Product]) -> None:
    found = duplicates.begin(product_source())
    counts = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as seen:
            duplicates.step(found, 20)
        counts.append(len(seen))
    assert max(counts) <= 8
    assert found.images == 60


def test_the_queue_searches_in_tasks_that_may_come_twice(
    shop: list[Product], queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "REST", 0.0)
    monkeypatch.setattr(searching, "BATCH", 64)
    found = duplicates.queue_search(product_source())
    (task,) = recorded_queue.tasks
    queueing.go_on(*task.args)  # delivered twice: both go on with what is left
    assert queue.run() >= 2
    assert duplicates.latest(product_source()) == found
    assert DuplicatePair.objects.count() == 5
    queueing.go_on(found.pk)  # once more, when it is over
    assert not recorded_queue.tasks


def test_many_products_with_one_placeholder_are_one_group(shop: list[Product]) -> None:
    """However many there are, the files that are the same hold them together."""
    crowd = 101  # more than any of them is asked neighbours for
    vector = different(1, seed=9)
    stock([vector] * crowd, hashes=dict.fromkeys(range(crowd), PLACEHOLDER))
    found = duplicates.search(product_source())
    seen = groups(found, pairs=5)
    largest = max(seen, key=lambda group: group.products)
    assert largest.products == crowd
    assert largest.distance == 0
    assert len(largest.pairs) == 5
    assert all(pair.same_file for pair in largest.pairs)
    assert not largest.is_dismissible
    assert duplicates.members(found, largest.number) == []
    assert len(seen) == 4


def test_dismissing_a_pair_lets_the_rest_hang_together(shop: list[Product]) -> None:
    source, found = product_source(), duplicates.search(product_source())
    one, other, third = shop[62:65]
    (dismissed,) = duplicates.dismiss(source, [keys(other, one)[::-1]])
    assert (dismissed.first, dismissed.second) == keys(one, other)
    assert duplicates.dismiss(source, [keys(one, other)]) == [], "said before"
    assert THREE in list(map(titles, groups(found))), "both look like the third"
    duplicates.dismiss(source, [keys(one, third)])
    assert {63, 64} in list(map(titles, groups(found)))
    duplicates.dismiss(source, [keys(shop[60], shop[61])])
    assert sorted(map(titles, groups(found)), key=min) == [{63, 64}, OFF]
    dismissed.delete()
    duplicates.regroup(found)
    assert sorted(map(titles, groups(found)), key=min) == [{62, 63, 64}, OFF]


def test_a_group_that_falls_apart_becomes_two(db: None, fake_encoder: None, known_threshold: None, queue: Any) -> None:
    """Four in a row, each like the next one alone."""
    angles = np.arccos(1 - 0.0008) * np.arange(4)
    row = np.zeros((4, 64), np.float32)
    row[:, 0], row[:, 1] = np.cos(angles), np.sin(angles)
    far = different(30)
    far[:, :2] = 0
    products = stock([*row[:, None], *(far / np.linalg.norm(far, axis=1, keepdims=True))[:, None]])
    found = duplicates.search(product_source())
    assert found.within == WITHIN
    assert list(map(titles, groups(found))) == [{0, 1, 2, 3}]
    duplicates.dismiss(product_source(), [keys(*products[1:3])])
    assert sorted(map(titles, groups(found)), key=min) == [{0, 1}, {2, 3}]


def test_dismissals_survive_versions_and_new_images(shop: list[Product]) -> None:
    source = product_source()
    duplicates.search(source)
    duplicates.dismiss(source, [keys(*shop[60:62])])
    old = active()
    VisualIndex.objects.filter(pk=old.pk).update(state="retired")
    images = list(ProductImage.objects.order_by("pk"))
    vectors = [np.asarray(rows(old).get(object_id=str(image.pk)).vector, np.float32) for image in images]
    index_images(active(), images, np.stack(vectors))
    new = duplicates.search(source)
    assert new.index != old
    assert sorted(map(titles, groups(new)), key=min) == [THREE, OFF]
    old.delete()
    ProductImage.objects.filter(product=shop[60]).delete()
    again = ProductImage.objects.create(product=shop[60], image="again.png", width=9, height=9)
    index_images(active(), [again], twins(vectors[60], 1, 11))
    assert sorted(map(titles, groups()), key=min) == [THREE, OFF]
    assert DismissedPair.objects.count() == 1


def test_pairs_of_images_that_changed_since_are_not_shown(shop: list[Product]) -> None:
    found = duplicates.search(product_source())
    ProductImage.objects.get(product=shop[60]).delete()
    moved = ProductImage.objects.get(product=shop[65])
    ProductImage.objects.filter(pk=moved.pk).update(product=shop[0])
    row = ImageEmbedding.objects.get(object_id=str(ProductImage.objects.get(product=shop[63]).pk))
    ImageEmbedding.objects.filter(pk=row.pk).update(indexed_at=found.finished_at)
    seen = groups(found)
    assert [titles(group) for group in seen if group.pairs] == [{62, 64}]
    assert duplicates.shown(found).count() == 2, "what was moved is known when it is read"


def test_without_a_version_it_says_so(db: None) -> None:
    with pytest.raises(VersionRefused, match="has no index version yet; index its images first"):
        duplicates.begin(product_source())


def test_other_shops_keys(db: None, fake_encoder: None, known_threshold: None, queue: Any) -> None:
    """A picture on the product itself with a UUID, and text keys on both sides."""
    near, far = twins(different(1)[0], 2), different(30, seed=4)
    vectors = np.concatenate([near, far])
    with goods.registered() as (garments, posters):
        clothes = Garment.objects.bulk_create(Garment(name=str(n), photo=f"{n}.png") for n in range(len(vectors)))
        prints = Poster.objects.bulk_create(Poster(code=f"P{n:02}") for n in range(len(vectors)))
        scans = PosterScan.objects.bulk_create(
            PosterScan(key=f"S {one.code}", poster=one, scan=f"{one.code}.png") for one in prints
        )
        for source, images in ((garments, clothes), (posters, scans)):
            index = VisualIndex.objects.create(
                source=source.name, encoder="fake", fingerprint="f" * 64, dimensions=64, state="active"
            )
            texts = [str(image.pk) for image in images]
            ImageEmbedding.objects.bulk_create(
                ImageEmbedding(index=index, object_id=key, state="indexed", file="x.png") for key in texts
            )
            searching_store(index, texts, vectors)
            found = duplicates.search(source)
            (group,) = duplicates.loaded(source, found, duplicates.groups_of(found), 10)
            expected = {str(source.product_pk_of(image)) for image in images[:2]}
            assert {side.key for side in group.sides} == expected


def searching_store(index: VisualIndex, texts: list[str], vectors: Any) -> None:
    from visualsearch.stores import get_store

    get_store().upsert(index, texts, vectors)


def test_copies_of_real_pictures(db: None, use_settings: Any, queue: Any, shared_data: Path) -> None:
    """The threshold comes from the pictures: a JPEG saved once more is found, and nothing that merely looks alike."""
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=None)
    paths = sorted((shared_data / "catalogue").glob("*.jpg"))[:40]
    for number, path in enumerate(paths):
        make_product(path.read_bytes(), title=f"Product {number}")
    buffer = io.BytesIO()
    Image.open(paths[3]).convert("RGB").save(buffer, "JPEG", quality=80)
    make_product(buffer.getvalue(), title="Product 40")
    make_product(paths[7].read_bytes(), title="Product 41")
    index_everything()
    seen = groups()
    assert list(map(titles, seen)) == [{7, 41}, {3, 40}]
    assert [group.pairs[0].same_file for group in seen] == [True, False]
    assert seen[0].distance == pytest.approx(0, abs=1e-6)
