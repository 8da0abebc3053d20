"""Building a version beside the active one: here or by the queue, interrupted, throttled, with another encoder."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage

from catalog.models import ProductImage
from tests.lifecycle.conftest import Typed, refusal, states
from tests.lifecycle.encoders import RED, RedEncoder
from tests.shelf import make_product, picture, product_source, upload
from visualsearch import lifecycle, similar_to, upkeep
from visualsearch.exceptions import EncoderError, VersionRefused
from visualsearch.locks import Space, advisory_lock
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.stores import get_store


def newest() -> VisualIndex:
    return VisualIndex.objects.latest("pk")


def test_build_here(shop: list[ProductImage], manage: Typed) -> None:
    said = manage("build", "--sync", "--encoder", RED)
    assert said == f"product: version {newest().pk} ({RED}): 12 indexed, 0 failed.\n"
    assert states() == ["active", "building"]
    assert get_store().is_prepared(newest())
    assert (newest().dimensions, newest().fingerprint) == (128, RedEncoder.fingerprint)
    found = similar_to(shop[0].product, 3)
    assert len(found) == 3
    assert "0 indexed, 0 failed" in manage("build", "--sync", "--encoder", RED)
    assert VisualIndex.objects.count() == 2, "the same build is taken up, not begun anew"


def test_build_by_the_queue_in_steps(shop: list[ProductImage], manage: Typed, queue: Any, use_settings: Any) -> None:
    use_settings(CHUNK=5)
    assert "being built by the queue" in manage("build", "--encoder", RED)
    assert [task.function for task in queue.tasks] == ["visualsearch.upkeep.build"]
    index, counts = newest(), []
    while queue.tasks:
        (task,) = queue.take()  # each step queues one more, behind whatever else waits
        upkeep.build(*task.args)
        counts.append(rows(index, state="indexed").count())
    assert counts == [5, 10, 12, 12, 12]
    assert get_store().is_prepared(index)


def test_wait_follows_the_queue(shop: list[ProductImage], manage: Typed, use_settings: Any) -> None:
    use_settings(ENQUEUE="tests.indexing.test_other_shops.enqueue_to_thread", CHUNK=6)
    assert manage("build", "--encoder", RED, "--wait") == f"product: version {newest().pk} ({RED}): built.\n"
    assert rows(newest(), state="indexed").count() == 12
    assert get_store().is_prepared(newest())


def test_build_as_json(shop: list[ProductImage], as_json: Any) -> None:
    found = as_json("build", "--sync", "--encoder", RED)
    rate, eta = found.pop("rate"), found.pop("eta_s")
    assert (rate > 0, eta) == (True, 0)
    assert found == {
        "source": "product",
        "version": newest().pk,
        "encoder": RED,
        "images": 12,
        "indexed": 12,
        "failed": 0,
        "pending": 0,
    }


def test_images_saved_meanwhile_land_in_both_versions(shop: list[ProductImage], queue: Any) -> None:
    index = lifecycle.begin(product_source(), RED)
    late = make_product(picture("teal")).images.get()
    queue.run()
    found = ImageEmbedding.objects.filter(object_id=str(late.pk), state="indexed")
    assert {(row.index_id, len(row.vector)) for row in found} == {(index.pk - 1, 64), (index.pk, 128)}
    late.image = upload(picture("pink"))
    late.save()
    queue.run()
    assert set(ImageEmbedding.objects.filter(object_id=str(late.pk)).values_list("file", flat=True)) == {
        late.image.name
    }
    late.delete()
    assert not ImageEmbedding.objects.filter(object_id=str(late.pk)).exists()


def test_an_interrupted_build_goes_on(shop: list[ProductImage], manage: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    embed, calls = RedEncoder.embed, []

    def interrupted(self: RedEncoder, images: Any) -> Any:
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(RedEncoder, "embed", interrupted)
        assert refusal(manage, "build", "--sync", "--encoder", RED, "--chunk", "4") == (
            "Interrupted; the same command goes on where it stopped.",
            130,
        )
    assert rows(newest(), state="indexed").count() == 8
    assert f"version {newest().pk} ({RED}): 4 indexed" in manage("build", "--sync", "--encoder", RED)


def test_rate_is_kept(shop: list[ProductImage], manage: Typed) -> None:
    start = time.monotonic()
    manage("build", "--sync", "--encoder", RED, "--rate", "20")
    assert time.monotonic() - start >= 12 / 20
    assert "--rate must be above 0." in refusal(manage, "build", "--rate", "0")[0]


def test_a_step_at_a_rate_takes_a_second_at_most(shop: list[ProductImage], queue: Any) -> None:
    index = lifecycle.begin(product_source(), RED)
    upkeep.queue_build(index, 4)
    (task,) = queue.take()
    upkeep.build(*task.args)
    assert rows(index, state="indexed").count() == 4


def test_storage_faults_are_tried_again_later(
    shop: list[ProductImage], queue: Any, monkeypatch: pytest.MonkeyPatch, use_settings: Any
) -> None:
    index, opened = lifecycle.begin(product_source(), RED), FileSystemStorage.open

    def away(self: Any, name: str, mode: str = "rb") -> Any:
        if name == shop[3].image.name:
            raise TimeoutError("storage away")
        return opened(self, name, mode)

    upkeep.queue_build(index)
    with monkeypatch.context() as patch:
        patch.setattr(FileSystemStorage, "open", away)
        queue.run()
    (again,) = queue.take()
    assert again.delay == 30
    assert rows(index, state="pending").count() == 1
    upkeep.build(*again.args)
    queue.run()
    assert rows(index, state="indexed").count() == 12
    assert get_store().is_prepared(index)


def test_only_one_builds(shop: list[ProductImage], manage: Typed, other_session: Any) -> None:
    index = lifecycle.begin(product_source(), RED)
    with advisory_lock(other_session, Space.ROWS, index.pk) as ours:
        assert ours
        sentence, status = refusal(manage, "build", "--sync", "--encoder", RED)
        assert f"Version {index.pk} of product is being changed by somebody else (database session" in sentence
        assert status == 3
        upkeep.build(index.pk)  # the queue's step leaves it to whoever is at it
    assert rows(index).count() == 0


def test_a_version_that_was_thrown_away_is_not_built_on(shop: list[ProductImage], queue: Any) -> None:
    index = lifecycle.begin(product_source(), RED)
    lifecycle.prune(product_source(), only=index)
    upkeep.build(index.pk)
    assert not queue.tasks
    with pytest.raises(VersionRefused, match="is not being built any more"):
        lifecycle.build(index, product_source(), chunk=4)


def test_an_encoder_that_is_none_or_not_here(shop: list[ProductImage], manage: Typed) -> None:
    sentence, status = refusal(manage, "build", "--encoder", "resnet")
    assert sentence.startswith("There is no encoder 'resnet'. Choose one of mobilenet_v2")
    assert status == 1
    unbuilt = "tests.lifecycle.encoders.UnbuiltEncoder"
    assert refusal(manage, "build", "--encoder", unbuilt)[0] == "There is no model file on this machine."
    assert states() == ["active"]


def test_a_live_version_without_its_encoder_keeps_nobody_else_from_being_indexed(shop: list[ProductImage]) -> None:
    VisualIndex.objects.create(source="product", encoder="gone.Encoder", fingerprint="0" * 64, dimensions=64)
    ImageEmbedding.objects.all().update(state="pending")
    with pytest.raises(EncoderError, match=r"There is no encoder 'gone\.Encoder'"):
        lifecycle.index_images(product_source(), [image.pk for image in shop])
    assert ImageEmbedding.objects.filter(state="indexed").count() == 12


def test_a_version_whose_number_had_another_graph(shop: list[ProductImage]) -> None:
    """After ``flush`` numbers begin anew, and the graph of the old version would refuse the new one's vectors."""
    old = newest()
    VisualIndex.objects.filter(pk=old.pk).delete()
    assert get_store().leftovers() == [f"visualsearch_hnsw_{old.pk}"]
    _next_number(old.pk)
    index = lifecycle.begin(product_source(), RED)
    assert index.pk == old.pk
    assert lifecycle.build(index, product_source(), chunk=64).indexed == 12


def _next_number(number: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('visualsearch_visualindex', 'id'), %s, false)", [number])


def test_each_source_has_its_own_encoder(shop: list[ProductImage], use_settings: Any) -> None:
    use_settings(SOURCE_ENCODERS={"product": RED})
    assert lifecycle.begin(product_source()).encoder == RED
    use_settings(SOURCE_ENCODERS={"posters": RED})
    assert lifecycle.begin(product_source()).encoder == "visualsearch.testing.FakeEncoder"


def test_list_says_how_far_each_is(shop: list[ProductImage], manage: Typed, as_json: Any) -> None:
    index = lifecycle.begin(product_source(), RED)
    lifecycle.build_step(index, product_source(), None, 3)
    said = manage("list")
    assert f"  v{index.pk} building: {RED} 4ed04ed04ed0, 128 dimensions, 3 of 12 images indexed, 9 pending" in said
    assert "images/s" in said
    assert "s left; database index missing" in said
    (found,) = as_json("list")["sources"]
    assert [version["version"] for version in found["versions"]] == [index.pk, index.pk - 1]
    assert found["versions"][0]["eta_s"] > 0
    assert found["versions"][1]["graph"] == "ready"
