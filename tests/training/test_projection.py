"""A version computed from another's vectors: the same as read from the pictures, and of the pictures that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catalog.models import ProductImage
from tests.shelf import index_everything, make_product, product_source, upload
from visualsearch import indexing, lifecycle, projection
from visualsearch.contrib.training import applying
from visualsearch.contrib.training.exceptions import TrainingError
from visualsearch.contrib.training.writing import write_encoder
from visualsearch.encoders import get_encoder
from visualsearch.encoders.head import Head
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.exceptions import FingerprintMismatch, StoreError
from visualsearch.models import ImageEmbedding, VisualIndex, active_index, rows
from visualsearch.stores import Store, get_store

NAME = "mobilenet_v2_compact"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An encoder file with some head on the bundled compact encoder."""
    base = MobileNetV2Compact()
    matrix = np.random.default_rng(0).normal(size=(9, base.dimensions)).astype(np.float32)
    head = Head(matrix, np.full(9, 0.1, np.float32), 0.7, base.fingerprint)
    write_encoder(tmp_path / "ours.tflite", base, head, {})
    return tmp_path / "ours.tflite"


@pytest.fixture
def shop(clothing: list[Path], use_settings: Any, queue: Any, file: Path) -> list[Path]:
    """Six indexed photographs; the settings name the file beside the encoder in use."""
    use_settings(ENCODER=NAME, WEIGHTS={NAME: None, f"{NAME}@ours": str(file)})
    photos = clothing[::70][:6]
    for path in photos:
        make_product(path.read_bytes(), title=path.stem)
    index_everything()
    return photos


def begun() -> tuple[VisualIndex, VisualIndex]:
    """The version of the file, being built, and the active one."""
    active = active_index(product_source())
    assert active is not None
    return lifecycle.begin(product_source(), f"{NAME}@ours"), active


def project(index: VisualIndex, base: VisualIndex) -> projection.Projected:
    return projection.project(index, product_source(), base)


def test_computed_vectors_are_those_of_the_pictures(
    shop: list[Path], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(indexing, "open_image", lambda content: pytest.fail("a picture is read"))
        index = applying.make_version(product_source(), file, said.append)
    assert (index.dimensions, index.state) == (1289, VisualIndex.State.BUILDING)
    assert "6 vectors computed from those of version" in said[0]
    assert "0 images are left to be read" in said[0]
    encoder = get_encoder(index.encoder)
    stored = {row.object_id: row for row in rows(index)}
    for path in shop:
        image = ProductImage.objects.get(product__title=path.stem)
        row = stored[str(image.pk)]
        expected = encoder.encode([Image.open(path).convert("RGB")])[0]
        assert float(np.dot(row.vector, expected)) > 0.999
        before = rows(active_index(product_source()), object_id=row.object_id).get()  # type: ignore[arg-type]
        assert (row.state, row.file, row.content_hash) == ("indexed", before.file, before.content_hash)
        assert row.claim == 0


def test_it_goes_on_where_it_stopped(shop: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "CHUNK", 2)
    index, active = begun()
    seen: list[int] = []

    def stop(count: int) -> None:
        seen.append(count)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        projection.project(index, product_source(), active, stop)
    assert rows(index).count() == 4
    assert project(index, active).computed == 2
    assert project(index, active).computed == 0


def test_a_version_of_other_weights_is_refused_by_name(shop: list[Path], file: Path) -> None:
    VisualIndex.objects.update(fingerprint="0123456789abcdef" * 4)
    with pytest.raises(FingerprintMismatch) as caught:
        applying.make_version(product_source(), file, print)
    assert "ours.tflite has a head for vectors of" in str(caught.value)
    assert "'product' holds vectors of mobilenet_v2_compact 0123456789ab" in str(caught.value)
    assert VisualIndex.objects.count() == 1


def test_a_version_without_a_head_is_refused(shop: list[Path]) -> None:
    _, active = begun()
    with pytest.raises(FingerprintMismatch, match="has no head"):
        project(active, active)


def test_a_file_that_the_settings_do_not_name(shop: list[Path], file: Path, use_settings: Any) -> None:
    use_settings(WEIGHTS=None)
    with pytest.raises(TrainingError) as caught:
        applying.make_version(product_source(), file, print)
    assert f"'{NAME}@finetuned': '{file}'" in str(caught.value)
    with pytest.raises(TrainingError, match="was not written by visualsearch_finetune"):
        applying.make_version(product_source(), MobileNetV2Compact().file.built_path(), print)


def test_a_replaced_picture_never_gets_the_old_vector(shop: list[Path]) -> None:
    """Its name is another, or a try of it is under way, or it failed: all of these are left to be read."""
    replaced, tried, failed, *_ = ProductImage.objects.order_by("pk")
    index, active = begun()
    ProductImage.objects.filter(pk=replaced.pk).update(image="products/another.jpg")
    rows(active, object_id=str(tried.pk)).update(attempts=1)
    rows(active, object_id=str(failed.pk)).update(state=ImageEmbedding.State.FAILED, code="not_an_image", vector=None)
    done = project(index, active)
    assert (done.computed, done.left) == (3, 3)
    assert not rows(index, object_id__in=[str(one.pk) for one in (replaced, tried, failed)]).exists()


def test_a_picture_that_changed_under_the_same_name_is_found_at_the_end(shop: list[Path]) -> None:
    """A task that began before the version was there writes to the active one alone."""
    changed, trying, *_ = ProductImage.objects.order_by("pk")
    index, active = begun()
    assert project(index, active).computed == 6
    rows(active, object_id=str(changed.pk)).update(content_hash="new")
    rows(active, object_id=str(trying.pk)).update(attempts=1)
    assert projection.recheck(index, active) == 2
    assert not rows(index, object_id__in=[str(changed.pk), str(trying.pk)]).exists()
    assert projection.recheck(index, active) == 0


def test_who_claimed_a_row_keeps_it(shop: list[Path]) -> None:
    """A save that came after the version was begun has read the picture itself."""
    image = ProductImage.objects.earliest("pk")
    index, active = begun()
    indexing.index_images(index, product_source(), [image.pk])
    read = rows(index).get()
    assert project(index, active).computed == 5
    row = rows(index, object_id=str(image.pk)).get()
    assert (row.claim, row.indexed_at) == (1, read.indexed_at)
    assert projection.recheck(index, active) == 0


def test_a_later_save_wins_over_a_computed_vector(shop: list[Path], clothing: list[Path]) -> None:
    index, active = begun()
    project(index, active)
    image = ProductImage.objects.earliest("pk")
    before = rows(index, object_id=str(image.pk)).get()
    image.image = upload(clothing[5].read_bytes(), "new.jpg")
    image.save()
    lifecycle.index_images(product_source(), [image.pk])
    row = rows(index, object_id=str(image.pk)).get()
    assert row.claim == 1
    assert row.content_hash != before.content_hash
    assert (
        float(np.dot(row.vector, get_encoder(index.encoder).encode([Image.open(clothing[5]).convert("RGB")])[0]))
        > 0.999
    )
    assert projection.recheck(index, active) == 0


def test_an_image_that_is_gone_gets_no_row(shop: list[Path]) -> None:
    index, active = begun()
    ProductImage.objects.filter(pk=ProductImage.objects.earliest("pk").pk).delete()
    ImageEmbedding.objects.filter(index=index).delete()
    assert project(index, active).computed <= 5
    assert set(rows(index).values_list("object_id", flat=True)) <= {
        str(pk) for pk in ProductImage.objects.values_list("pk", flat=True)
    }


def test_stored_vectors_come_in_the_order_asked_for(shop: list[Path]) -> None:
    _, active = begun()
    keys = list(rows(active).order_by("-object_id").values_list("object_id", flat=True))
    found = get_store().vectors(active, keys)
    assert (found.dtype, found.shape) == (np.float32, (6, 1280))
    assert np.array_equal(found, Store.vectors(get_store(), active, keys))  # as any store reads them
    assert np.array_equal(found[2], np.float32(rows(active, object_id=keys[2]).get().vector))
    assert get_store().vectors(active, []).shape == (0, 1280)
    with pytest.raises(StoreError, match="has no vector of image nothing"):
        get_store().vectors(active, [*keys, "nothing"])
