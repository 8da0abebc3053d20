"""Each kind of drift is found by its name, mended by --fix, and then no more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.utils import timezone

from catalog.models import ProductImage
from tests.drift.conftest import reconcile
from tests.lifecycle.encoders import RED
from tests.shelf import make_product, picture, product_source, upload
from visualsearch import lifecycle, search_by_image
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.stores import get_store
from visualsearch.testing import FakeEncoder, disable_indexing

Shop = list[ProductImage]


def row_without_image(shop: Shop) -> tuple[str, list[str]]:
    """As after a delete past the signals."""
    key = str(shop[0].pk)
    ProductImage.objects.filter(pk=shop[0].pk)._raw_delete("default")
    ImageEmbedding.objects.create(index=VisualIndex.objects.get(), object_id="no key at all", state="pending")
    return "row_without_image", [key, "no key at all"]


def image_without_file(shop: Shop) -> tuple[str, list[str]]:
    ProductImage.objects.filter(pk=shop[0].pk).update(image="")
    return "row_without_image", [str(shop[0].pk)]


def image_without_row(shop: Shop) -> tuple[str, list[str]]:
    with disable_indexing():
        image = make_product(picture("teal")).images.get()
    ImageEmbedding.objects.filter(object_id=str(shop[1].pk)).delete()
    return "image_without_row", [str(shop[1].pk), str(image.pk)]


def file_replaced(shop: Shop) -> tuple[str, list[str]]:
    with disable_indexing():
        shop[2].image = upload(picture("teal"))
        shop[2].save()
    return "file_replaced", [str(shop[2].pk)]


def file_changed(shop: Shop) -> tuple[str, list[str]]:
    Path(shop[3].image.path).write_bytes(picture("teal"))
    return "file_changed", [str(shop[3].pk)]


def file_changed_to_no_picture(shop: Shop) -> tuple[str, list[str]]:
    Path(shop[3].image.path).write_bytes(b"no picture")
    return "file_changed", [str(shop[3].pk)]


def file_missing(shop: Shop) -> tuple[str, list[str]]:
    Path(shop[3].image.path).unlink()
    return "file_missing", [str(shop[3].pk)]


def file_back(shop: Shop) -> tuple[str, list[str]]:
    path, content = Path(shop[3].image.path), Path(shop[3].image.path).read_bytes()
    path.unlink()
    lifecycle.index_images(product_source(), [shop[3].pk])
    assert rows(VisualIndex.objects.get(), code="file_missing").count() == 1
    path.write_bytes(content)
    return "file_back", [str(shop[3].pk)]


def stuck_pending(shop: Shop) -> tuple[str, list[str]]:
    """A worker was killed, and its task was lost."""
    long_ago = timezone.now() - timedelta(hours=1)
    lost = ImageEmbedding.objects.filter(object_id__in=[str(shop[0].pk), str(shop[1].pk)])
    lost.update(state="pending", claimed_at=long_ago)
    lost.filter(object_id=str(shop[1].pk)).update(claimed_at=None)
    ImageEmbedding.objects.filter(object_id=str(shop[2].pk)).update(state="pending", claimed_at=timezone.now())
    waits = {"code": "storage_error", "attempts": 4, "claimed_at": long_ago}  # is tried again within the hour
    ImageEmbedding.objects.filter(object_id=str(shop[3].pk)).update(state="pending", **waits)
    return "stuck_pending", [str(shop[0].pk), str(shop[1].pk)]


def vector_missing(shop: Shop) -> tuple[str, list[str]]:
    ImageEmbedding.objects.filter(object_id=str(shop[4].pk)).update(vector=None)
    return "vector_missing", [str(shop[4].pk)]


def vector_unfit(shop: Shop) -> tuple[str, list[str]]:
    index, length = VisualIndex.objects.get(), np.ones((1, 64), np.float32)
    get_store().drop(index)
    get_store().upsert(index, [str(shop[4].pk)], length * 3)
    get_store().upsert(index, [str(shop[5].pk)], np.ones((1, 65), np.float32))
    ImageEmbedding.objects.filter(object_id=str(shop[5].pk)).delete()  # the graph could not be built over it
    get_store().prepare(index)
    lifecycle.index_images(product_source(), [shop[5].pk])
    return "vector_unfit", [str(shop[4].pk)]


def vector_wrong(shop: Shop) -> tuple[str, list[str]]:
    """A vector of another encoder, of the right length."""
    get_store().upsert(VisualIndex.objects.get(), [str(shop[4].pk)], np.eye(64, dtype=np.float32)[:1])
    return "vector_wrong", [str(shop[4].pk)]


def index_missing(shop: Shop) -> tuple[str, list[str]]:
    get_store().drop(VisualIndex.objects.get())
    return "index_missing", [""]


def index_invalid(shop: Shop) -> tuple[str, list[str]]:
    name = f"visualsearch_hnsw_{VisualIndex.objects.get().pk}"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [name])
    return "index_invalid", [""]


def index_left_over(shop: Shop) -> tuple[str, list[str]]:
    gone = VisualIndex.objects.create(source="product", encoder="x", fingerprint="x", dimensions=64, state="retired")
    get_store().prepare(gone)
    VisualIndex.objects.filter(pk=gone.pk).delete()
    return "index_left_over", [""]


SPOILED = [
    row_without_image,
    image_without_file,
    image_without_row,
    file_replaced,
    file_changed,
    file_changed_to_no_picture,
    file_missing,
    file_back,
    stuck_pending,
    vector_missing,
    vector_unfit,
    vector_wrong,
    index_missing,
    index_invalid,
    index_left_over,
]


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_found_and_mended(shop: Shop, spoil: Callable[[Shop], tuple[str, list[str]]], drift_of: Any) -> None:
    kind, keys = spoil(shop)
    found = drift_of()
    found.pop("vector_wrong", None) if kind == "vector_unfit" else None  # it points elsewhere as well
    assert {name: sorted(own) for name, own in found.items()} == {kind: sorted(keys)}
    assert kind in drift_of("--fix")
    assert drift_of() == {}


def test_a_true_index_has_no_drift(shop: Shop) -> None:
    found, sentence = reconcile()
    assert sentence == ""
    assert found["sources"] == [{"source": "product", "images": 6, "drift": {}, "examples": [], "mended": 0, "left": 0}]


def test_a_refused_picture_is_no_drift(shop: Shop, drift_of: Any, use_settings: Any) -> None:
    use_settings(MAX_BYTES=2000)
    for content in (b"no picture", picture("teal") + bytes(3000)):
        make_product(content)
    lifecycle.index_images(product_source(), list(ProductImage.objects.values_list("pk", flat=True)))
    assert set(ImageEmbedding.objects.values_list("code", flat=True)) == {"", "not_an_image", "file_too_large"}
    assert drift_of() == {}


def test_all_at_once(shop: Shop, drift_of: Any) -> None:
    """What one repair does leaves the next one right."""
    for spoil in (file_changed, image_without_row, vector_missing, index_missing):
        spoil(shop)
    found = drift_of("--fix")
    assert set(found) == {"file_changed", "image_without_row", "vector_missing", "index_missing"}
    assert drift_of() == {}
    assert search_by_image(picture("teal"), 1)[0].distance == pytest.approx(0, abs=1e-3)


def test_a_version_that_no_encoder_here_made(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeEncoder, "fingerprint", "0" * 64)
    for arguments in ([], ["--fix"]):
        found, sentence = reconcile(*arguments)
        assert found["sources"][0]["drift"] == {"wrong_fingerprint": 1}
        assert "would make vectors of 000000000000" in found["sources"][0]["examples"][0]["detail"]
        assert sentence.startswith("1 cases of drift")


def test_one_wrong_vector_has_all_compared(shop: Shop, drift_of: Any) -> None:
    """A sample of one finds it only by chance; once one is found, none is left unseen."""
    index, keys = VisualIndex.objects.get(), [str(image.pk) for image in shop]
    get_store().upsert(index, keys, np.eye(64, dtype=np.float32)[: len(keys)])
    assert sorted(drift_of("--encode", "1")["vector_wrong"]) == sorted(keys)
    assert drift_of("--encode", "0") == {}
    drift_of("--encode", "all", "--fix")
    assert drift_of("--encode", "all") == {}


def test_a_storage_that_fails_is_no_reason_to_forget(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: Any, name: str, mode: str = "rb") -> Any:
        raise TimeoutError("away")

    with monkeypatch.context() as patch:
        patch.setattr(FileSystemStorage, "open", away)
        found, sentence = reconcile("--fix")
    assert found["sources"][0]["drift"] == {"file_unreadable": 6}
    assert found["sources"][0]["examples"][0]["detail"] == "TimeoutError: away"
    assert sentence == "6 cases of drift are left; see: docs/index-versions.md"
    assert reconcile()[1] == ""


def test_versions_that_are_built_or_retired(shop: Shop, drift_of: Any) -> None:
    """What a version that is being built lacks is no drift; what a retired one lost is, for going back to it."""
    building = lifecycle.begin(product_source(), RED)
    lifecycle.build_step(building, product_source(), None, 2)
    assert drift_of() == {}
    lifecycle.build(building, product_source(), chunk=64)
    lifecycle.activate(product_source(), building)
    retired = VisualIndex.objects.get(state="retired")
    get_store().upsert(retired, [str(shop[0].pk)], np.full((1, 64), 2, np.float32))
    get_store().drop(retired)
    file_changed(shop)
    found = drift_of("--fix")
    assert {kind: len(keys) for kind, keys in found.items()} == {
        "vector_unfit": 1,
        "index_missing": 1,
        "file_changed": 1,
    }
    assert drift_of() == {}


def test_an_image_saved_in_between_is_left_to_its_task(shop: Shop, queue: Any, drift_of: Any) -> None:
    """A row of which a try has just begun is nobody's to mend."""
    ImageEmbedding.objects.filter(object_id=str(shop[0].pk)).update(state="pending", claimed_at=timezone.now())
    assert drift_of() == {}


def test_before_anything_is_indexed(transactional_db: None, fake_encoder: None, queue: Any, drift_of: Any) -> None:
    image = make_product(picture()).images.get()
    assert drift_of() == {"image_without_row": [str(image.pk)]}
    drift_of("--fix")
    assert drift_of() == {}
    get_store().drop(VisualIndex.objects.get())


def test_content_file_storage(shop: Shop) -> None:
    """Files are read through the storage, whatever it is."""
    name = product_source().storage.save("x.png", ContentFile(picture("teal")))
    ProductImage.objects.filter(pk=shop[0].pk).update(image=name)
    assert reconcile("--fix")[0]["sources"][0]["drift"] == {"file_replaced": 1}
