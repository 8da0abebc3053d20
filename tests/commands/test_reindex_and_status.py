"""visualsearch_reindex and visualsearch_status, as a person types them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalog.models import ProductImage
from tests.shelf import make_product, picture, product_source, shade, upload
from visualsearch import search_by_image, similar_to
from visualsearch.models import ImageEmbedding, IndexedSource, SearchCount, VisualIndex
from visualsearch.stores import get_store
from visualsearch.testing import FakeEncoder, disable_indexing
from visualsearch.usage import Usage


@pytest.fixture(autouse=True)
def _setting(transactional_db: None, fake_encoder: None, queue: Any) -> None:
    pass


@pytest.fixture
def five() -> list[ProductImage]:
    with disable_indexing():
        return list(make_product(*[picture(shade(n)) for n in range(5)]).images.all())


def reindex(*args: str, **options: Any) -> str:
    out = StringIO()
    call_command("visualsearch_reindex", *args, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def status(**options: Any) -> str:
    out = StringIO()
    call_command("visualsearch_status", stdout=out, **options)
    return out.getvalue()


def test_sync_indexes_here_and_builds_the_graph(five: list[ProductImage]) -> None:
    assert reindex(sync=True) == "product: 5 indexed, 0 failed.\n"
    assert get_store().is_prepared(VisualIndex.objects.get())
    assert reindex(sync=True) == "product: 0 indexed, 0 failed.\n"
    assert reindex("--all", "--sync") == "product: 0 indexed, 5 unchanged, 0 failed.\n"
    assert reindex("--all", "--force", "--sync") == "product: 5 indexed, 0 failed.\n"


def test_default_queues_chunks(five: list[ProductImage], queue: Any) -> None:
    assert reindex(chunk=2) == "product: 5 images queued.\n"
    assert [len(task.args[1]) for task in queue.tasks] == [2, 2, 1]
    queue.run()
    assert ImageEmbedding.objects.filter(state="indexed").count() == 5
    assert reindex() == "product: 0 images queued.\n"


def test_interrupted_run_is_taken_up(five: list[ProductImage], monkeypatch: pytest.MonkeyPatch) -> None:
    embed, calls = FakeEncoder.embed, []

    def interrupted(self: FakeEncoder, images: Any) -> Any:
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(FakeEncoder, "embed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reindex(sync=True, chunk=1)
    assert ImageEmbedding.objects.filter(state="indexed").count() == 2
    assert reindex(sync=True) == "product: 3 indexed, 0 failed.\n"


def test_pks(five: list[ProductImage]) -> None:
    reindex("--sync", "--pks", str(five[0].pk), str(five[3].pk))
    assert set(ImageEmbedding.objects.values_list("object_id", flat=True)) == {str(five[0].pk), str(five[3].pk)}


def test_failed(five: list[ProductImage]) -> None:
    broken = ProductImage.objects.create(product=five[0].product, image=upload(b"no picture"))
    with pytest.raises(CommandError, match="Some images failed; see: manage"):
        reindex(sync=True)
    with pytest.raises(CommandError):
        reindex("--failed", "--sync")
    assert ImageEmbedding.objects.get(object_id=str(broken.pk)).attempts == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "shoes"], "There is no source 'shoes'. Registered sources: product."),
        (["--pks", "one"], "'one' is not a key of ProductImage."),
        (["--chunk", "0"], "--chunk must be 1 or more."),
        (["--force"], "--force goes with --all."),
        (["--missing", "--all"], "not allowed with argument"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        reindex(*arguments)


def test_rebuild_replaces_the_version_of_another_encoder(five: list[ProductImage], queue: Any) -> None:
    """The shop's encoder changed: the old version answers until the new one is complete, and is then retired."""
    reindex(sync=True)
    VisualIndex.objects.update(fingerprint="0" * 64)
    with pytest.raises(CommandError, match="would make vectors of fa4efa4efa4e"):
        reindex("--all", "--sync")
    old = VisualIndex.objects.get()
    assert "is active, 5 indexed, 0 failed" in reindex("--rebuild")
    assert VisualIndex.objects.get(pk=old.pk).state == "retired"
    new = VisualIndex.objects.get(state="active")
    assert (new.fingerprint, new.embeddings.filter(state="indexed").count()) == ("fa4e" * 16, 5)
    assert get_store().is_prepared(new)
    assert len(similar_to(five[0].product, 5)) == 0
    assert search_by_image(picture(shade(3)), 1)[0].image == five[3]


def test_rebuild_goes_on_where_it_was_interrupted(five: list[ProductImage], monkeypatch: pytest.MonkeyPatch) -> None:
    reindex(sync=True)
    embed, calls = FakeEncoder.embed, []

    def interrupted(self: FakeEncoder, images: Any) -> Any:
        calls.append(len(images))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return embed(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(FakeEncoder, "embed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reindex("--rebuild", chunk=1)
    assert VisualIndex.objects.filter(state="active").get().embeddings.count() == 5
    assert "2 indexed" in reindex("--rebuild")
    assert list(VisualIndex.objects.order_by("pk").values_list("state", flat=True)) == ["retired", "active"]


def test_wait_follows_the_worker(five: list[ProductImage], use_settings: Any) -> None:
    use_settings(ENQUEUE="tests.indexing.test_other_shops.enqueue_to_thread")
    assert reindex("--wait") == "product: 5 images queued.\n"
    assert ImageEmbedding.objects.filter(state="indexed").count() == 5


def test_status_in_words(five: list[ProductImage], queue: Any) -> None:
    assert status() == "product: no index version yet\n  5 images: 0 indexed, 5 pending, 0 failed\n"
    reindex(sync=True)
    ProductImage.objects.create(product=five[0].product, image=upload(b"no picture"))
    queue.run()
    five[1].image = upload(picture())
    five[1].save()
    text = status()
    assert "FakeEncoder fa4efa4efa4e, HNSW index ready" in text
    assert "  6 images: 4 indexed, 1 pending, 1 failed\n    1 failed: not_an_image\n" in text
    assert "  no scores: nothing is known" in text
    VisualIndex.objects.update(fingerprint="0" * 64)
    assert "NOT this process's encoder" in status()
    about = {"source": "product", "day": timezone.localdate(), "kind": "photo", "outcome": "answered"}
    SearchCount.objects.create(**about, bucket=3, count=4)
    ago = timezone.now() - timedelta(seconds=200)
    IndexedSource.objects.update_or_create(pk="product", defaults={"paused_at": ago, "worker_seen_at": ago})
    text = status()
    assert re.search(r"  0.0\d images/s, \d+ s left\n  PAUSED for 20\d s: 0 tasks wait\n", text)
    assert re.search(
        r"  NO WORKER, the last one seen 20\d s ago\n  4 searches today, 0 empty,.+median 7.5 ms, 95%", text
    )


def test_status_as_json(five: list[ProductImage]) -> None:
    reindex(sync=True)
    (found,) = json.loads(status(json=True))["sources"]
    assert found == {
        "source": "product",
        "images": 5,
        "indexed": 5,
        "pending": 0,
        "failed": 0,
        "failed_by_code": {},
        "version": VisualIndex.objects.get().pk,
        "encoder": "visualsearch.testing.FakeEncoder",
        "fingerprint": "fa4e" * 16,
        "encoder_fits": True,
        "prepared": True,
        "calibration": "none",
        "rate": None,
        "eta_s": None,
        "paused_since": None,
        "held": 0,
        "worker_seen_at": None,
        "today": asdict(Usage()),
    }
    assert product_source().name == found["source"]


def test_failed_image_whose_file_was_replaced_counts_once(five: list[ProductImage], queue: Any) -> None:
    broken = ProductImage.objects.create(product=five[0].product, image=upload(b"no picture"))
    queue.run()
    broken.image = upload(picture())
    broken.save()
    reindex("--pks", str(five[0].pk), "--sync")
    (found,) = json.loads(status(json=True))["sources"]
    assert (found["images"], found["indexed"], found["pending"], found["failed"]) == (6, 1, 5, 0)
