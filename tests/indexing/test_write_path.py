"""Whatever happens to an image, the rows end up true: one indexed row of its present file, or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.core import serializers
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import transaction

from catalog.models import Product, ProductImage
from tests.shelf import category, make_product, picture, product_source, shade, upload
from visualsearch import indexing, lifecycle
from visualsearch.images import content_hash
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.testing import FakeEncoder

RED, BLUE, GREEN = picture((200, 30, 30)), picture((30, 30, 200)), picture((30, 200, 30))


def assert_true_rows() -> None:
    """Each image with a file has one indexed row that shows this very file; nothing else has a row."""
    images = {str(image.pk): image for image in ProductImage.objects.exclude(image="")}
    found = {row.object_id: row for row in ImageEmbedding.objects.all()}
    assert set(found) == set(images)
    for pk, row in found.items():
        with images[pk].image.open() as file:
            content = file.read()
        assert (row.state, row.file, row.content_hash) == ("indexed", images[pk].image.name, content_hash(content))
        assert np.allclose(row.vector, vector_of(content), atol=1e-6)
        assert row.attempts == 0
        assert row.reason == ""


def vector_of(content: bytes) -> Any:
    from visualsearch.images import open_image

    return FakeEncoder().encode([open_image(content)])[0]


def test_create(queue: Any) -> None:
    make_product(RED, BLUE)
    assert queue.run() == 2
    assert_true_rows()
    assert VisualIndex.objects.get().state == "active"


def test_replaced_file(queue: Any) -> None:
    image = make_product(RED).images.get()
    queue.run()
    image.image = upload(BLUE)
    image.save()
    queue.run()
    assert_true_rows()


def test_save_without_a_change_embeds_nothing(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_product(RED).images.get()
    queue.run()
    before = ImageEmbedding.objects.get()
    with monkeypatch.context() as patch:
        patch.setattr(FakeEncoder, "embed", lambda *args: pytest.fail("embedded again"))
        image.save()
        assert queue.run() == 1
    after = ImageEmbedding.objects.get()
    assert after.indexed_at == before.indexed_at
    assert_true_rows()


def test_save_of_other_fields_enqueues_nothing(queue: Any) -> None:
    image = make_product(RED).images.get()
    queue.run()
    image.position = 3
    image.save(update_fields=["position"])
    assert queue.take() == []


def test_rollback(queue: Any) -> None:
    product = make_product()
    with pytest.raises(RuntimeError), transaction.atomic():
        ProductImage.objects.create(product=product, image=upload(RED))
        raise RuntimeError
    assert queue.take() == []
    ProductImage.objects.create(product=product, image=upload(BLUE))
    queue.run()
    assert_true_rows()


def test_several_saves_in_one_transaction_are_one_task(queue: Any) -> None:
    product = make_product()
    with transaction.atomic():
        images = [ProductImage.objects.create(product=product, image=upload(picture(shade(n)))) for n in range(5)]
        images[0].save()
        assert queue.tasks == []
    (task,) = queue.tasks
    assert task.args[1] == [str(image.pk) for image in images]
    queue.run()
    assert_true_rows()


def test_savepoint_that_is_rolled_back_takes_no_other_image_with_it(queue: Any) -> None:
    product = make_product()
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            ProductImage.objects.create(product=product, image=upload(RED))
            raise RuntimeError
        with transaction.atomic():
            ProductImage.objects.create(product=product, image=upload(BLUE))
        ProductImage.objects.create(product=product, image=upload(GREEN))
    assert len(queue.tasks) == 1
    queue.run()
    assert_true_rows()
    assert ImageEmbedding.objects.count() == 2


def test_large_transaction_is_cut_into_chunks(queue: Any, use_settings: Any) -> None:
    use_settings(CHUNK=3)
    product = make_product()
    with transaction.atomic():
        for number in range(7):
            ProductImage.objects.create(product=product, image=upload(picture(shade(number))))
    assert [len(task.args[1]) for task in queue.tasks] == [3, 3, 1]


def test_delete(queue: Any) -> None:
    product = make_product(RED, BLUE)
    queue.run()
    product.images.first().delete()
    assert_true_rows()
    assert ImageEmbedding.objects.count() == 1


def test_delete_by_cascade_and_by_queryset(queue: Any) -> None:
    first, second, third = make_product(RED), make_product(BLUE, GREEN), make_product(GREEN)
    queue.run()
    first.delete()
    Product.objects.filter(pk=second.pk).delete()
    assert_true_rows()
    ProductImage.objects.filter(product=third).delete()
    assert not ImageEmbedding.objects.exists()


def test_delete_that_is_rolled_back_keeps_the_row(queue: Any) -> None:
    product = make_product(RED)
    queue.run()
    with pytest.raises(RuntimeError), transaction.atomic():
        product.delete()
        raise RuntimeError
    assert_true_rows()
    assert ImageEmbedding.objects.count() == 1


def test_deleted_before_its_task_runs(queue: Any) -> None:
    product = make_product(RED)
    product.images.get().delete()
    queue.run()
    assert not ImageEmbedding.objects.exists()


def test_deleted_while_it_is_embedded(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_product(RED).images.get()
    embed = FakeEncoder.embed

    def slow(self: FakeEncoder, images: Any) -> Any:
        ProductImage.objects.filter(pk=image.pk).delete()
        return embed(self, images)

    monkeypatch.setattr(FakeEncoder, "embed", slow)
    queue.run()
    assert not ImageEmbedding.objects.exists()


def test_emptied_field(queue: Any) -> None:
    image = make_product(RED).images.get()
    queue.run()
    image.image = ""
    image.save()
    queue.run()
    assert not ImageEmbedding.objects.exists()


def test_field_emptied_by_update_is_found_by_reindex(queue: Any) -> None:
    make_product(RED, BLUE)
    queue.run()
    ProductImage.objects.filter(position=0).update(image="")
    call_command("visualsearch_reindex", sync=True)
    assert_true_rows()
    assert ImageEmbedding.objects.count() == 1


def test_bulk_create_and_update_are_found_by_reindex(queue: Any) -> None:
    product = make_product(RED)
    queue.run()
    names = [default_storage.save(f"products/bulk-{n}.png", upload(picture(shade(n)))) for n in range(3)]
    ProductImage.objects.bulk_create([ProductImage(product=product, image=name) for name in names[:2]])
    ProductImage.objects.filter(image=product.images.first().image.name).update(image=names[2])
    assert queue.tasks == []
    assert lifecycle.to_index(product_source(), "missing").count() == 3
    call_command("visualsearch_reindex", missing=True)
    assert queue.run() == 1
    assert_true_rows()
    assert lifecycle.to_index(product_source(), "missing").count() == 0


def test_file_gone_from_storage(queue: Any) -> None:
    image = make_product(RED).images.get()
    queue.run()
    default_storage.delete(image.image.name)
    image.save(update_fields=["image"])
    queue.run()
    row = ImageEmbedding.objects.get()
    assert (row.state, row.code, row.vector, row.attempts) == ("failed", "file_missing", None, 1)
    assert image.image.name in row.reason
    with default_storage.open(image.image.name, "wb") as file:
        file.write(BLUE)
    call_command("visualsearch_reindex", failed=True, sync=True)
    assert_true_rows()


def test_same_name_overwritten(queue: Any) -> None:
    image = make_product(RED).images.get()
    queue.run()
    with default_storage.open(image.image.name, "wb") as file:
        file.write(BLUE)
    image.save()
    queue.run()
    assert_true_rows()


def test_same_name_overwritten_without_a_save_is_found_by_reindex_all(queue: Any) -> None:
    images = [make_product(RED).images.get(), make_product(GREEN).images.get()]
    queue.run()
    with default_storage.open(images[0].image.name, "wb") as file:
        file.write(BLUE)
    call_command("visualsearch_reindex", all=True, sync=True)
    assert_true_rows()


def test_fixtures(queue: Any) -> None:
    product = make_product(RED, BLUE)
    text = serializers.serialize("json", [*Product.objects.all(), *ProductImage.objects.all()])
    product.delete()
    queue.take()
    for loaded in serializers.deserialize("json", text):
        loaded.save()  # raw=True, as loaddata does
    assert queue.run() == 2
    assert_true_rows()


def test_newer_save_wins_over_the_embedding_of_the_older_file(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first file is embedded the second is saved and indexed; the first may not overwrite it."""
    image = make_product(RED).images.get()
    embed = FakeEncoder.embed
    (first,) = queue.take()

    def slow(self: FakeEncoder, images: Any) -> Any:
        monkeypatch.setattr(FakeEncoder, "embed", embed)
        vectors = embed(self, images)
        image.image = upload(BLUE)
        image.save()
        queue.run()
        return vectors

    monkeypatch.setattr(FakeEncoder, "embed", slow)
    outcome = lifecycle.index_images(product_source(), first.args[1])
    assert (outcome.superseded, outcome.indexed) == (1, 0)
    assert_true_rows()


def test_newer_content_under_the_same_name_wins(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_product(RED).images.get()
    embed = FakeEncoder.embed
    queue.take()

    def slow(self: FakeEncoder, images: Any) -> Any:
        monkeypatch.setattr(FakeEncoder, "embed", embed)
        vectors = embed(self, images)
        with default_storage.open(image.image.name, "wb") as file:
            file.write(BLUE)
        lifecycle.index_images(product_source(), [image.pk])
        return vectors

    monkeypatch.setattr(FakeEncoder, "embed", slow)
    lifecycle.index_images(product_source(), [image.pk])
    assert_true_rows()


def test_run_twice_is_the_same_as_once(queue: Any) -> None:
    make_product(RED, BLUE)
    tasks = queue.take()
    for task in [*tasks, *tasks]:
        queue.enqueue(task.function, *task.args)
    queue.run()
    assert_true_rows()


def test_every_live_version_follows_the_images_and_a_retired_one_does_not(queue: Any) -> None:
    make_product(RED)
    queue.run()
    active = VisualIndex.objects.get()
    fields = {"source": "product", "encoder": active.encoder, "fingerprint": active.fingerprint, "dimensions": 64}
    building = VisualIndex.objects.create(state="building", **fields)
    retired = VisualIndex.objects.create(state="retired", **fields)
    make_product(BLUE)
    queue.run()
    assert {index.pk: index.embeddings.count() for index in (active, building, retired)} == {
        active.pk: 2,
        building.pk: 1,
        retired.pk: 0,
    }


def test_vectors_of_another_fingerprint_are_never_written(queue: Any) -> None:
    from visualsearch.exceptions import FingerprintMismatch

    make_product(RED)
    queue.run()
    VisualIndex.objects.update(fingerprint="0" * 64)
    make_product(BLUE)
    with pytest.raises(FingerprintMismatch, match="000000000000"):
        queue.run()
    assert ImageEmbedding.objects.count() == 1


def test_unknown_source_is_dropped_with_a_word(queue: Any, caplog: pytest.LogCaptureFixture) -> None:
    from visualsearch import tasks

    tasks.index_images("no-such", ["1"])
    assert "no-such" in caplog.text


def test_missing_rows_are_no_error(queue: Any) -> None:
    outcome = lifecycle.index_images(product_source(), [10**9, 10**9 + 1])
    assert outcome.total == 0


def test_saves_do_not_load_other_models_listeners() -> None:
    """Fast deletes of models that are not registered stay fast."""
    from django.db.models.signals import post_delete

    assert not post_delete.has_listeners(Product)
    assert post_delete.has_listeners(ProductImage)
    category()


def test_forget_is_no_error_for_unknown_keys() -> None:
    indexing.forget(product_source(), ["nothing"])
