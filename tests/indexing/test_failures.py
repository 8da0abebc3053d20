"""What goes wrong is kept with its reason; what may get better is tried again, what cannot is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.management import CommandError, call_command

from tests.shelf import make_product, picture, upload
from visualsearch.exceptions import EncoderError, InvalidWeights
from visualsearch.models import ImageEmbedding
from visualsearch.signals import post_failed, post_indexed
from visualsearch.testing import FakeEncoder

RED, BLUE = picture((200, 30, 30)), picture((30, 30, 200))
DELAYS = (1, 10, 100)


@pytest.fixture
def broken_storage(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reading raises until ``broken_storage.undo()``."""

    def raises(self: Any, name: str, mode: str = "rb") -> Any:
        raise TimeoutError("the bucket did not answer")

    patch = pytest.MonkeyPatch()
    patch.setattr(FileSystemStorage, "_open", raises)
    yield patch
    patch.undo()


def test_bad_file_fails_alone_with_its_reason(queue: Any) -> None:
    product = make_product(RED, b"this is no picture", BLUE)
    queue.run()
    states = {row.object_id: (row.state, row.code) for row in ImageEmbedding.objects.all()}
    bad = str(product.images.get(position=1).pk)
    assert states.pop(bad) == ("failed", "not_an_image")
    assert set(states.values()) == {("indexed", "")}
    assert ImageEmbedding.objects.get(object_id=bad).attempts == 1


def test_bad_file_is_not_retried_until_it_changes(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_product(b"this is no picture").images.get()
    queue.run()
    with monkeypatch.context() as patch:
        patch.setattr("visualsearch.indexing.open_image", lambda *args: pytest.fail("decoded again"))
        image.save()
        queue.run()
        call_command("visualsearch_reindex", sync=True)
        call_command("visualsearch_reindex", all=True, sync=True)
    row = ImageEmbedding.objects.get()
    assert (row.state, row.code, row.attempts) == ("failed", "not_an_image", 1)
    image.image = upload(RED)
    image.save()
    queue.run()
    assert ImageEmbedding.objects.get().state == "indexed"


def test_bad_file_in_place_of_a_good_one_takes_its_vector_away(queue: Any) -> None:
    image = make_product(RED).images.get()
    queue.run()
    image.image = upload(b"this is no picture")
    image.save()
    queue.run()
    row = ImageEmbedding.objects.get()
    assert (row.state, row.vector) == ("failed", None)


def test_storage_fault_is_retried_with_growing_delays(queue: Any, use_settings: Any, broken_storage: Any) -> None:
    use_settings(RETRY_DELAYS=DELAYS)
    make_product(RED)
    waited = []
    for _ in range(10):
        tasks = queue.take()
        if not tasks:
            break
        waited += [task.delay for task in tasks if task.delay]
        for task in tasks:
            queue.enqueue(task.function, *task.args)
        queue.run()
        row = ImageEmbedding.objects.get()
        assert row.code == "storage_error"
        assert "the bucket did not answer" in row.reason
    assert waited == list(DELAYS)
    assert (row.state, row.attempts) == ("failed", len(DELAYS) + 1)


def test_storage_fault_that_passes_leaves_no_trace(queue: Any, use_settings: Any, broken_storage: Any) -> None:
    make_product(RED)
    queue.run()
    assert (ImageEmbedding.objects.get().state, ImageEmbedding.objects.get().attempts) == ("pending", 1)
    broken_storage.undo()
    (task,) = queue.take()
    queue.enqueue(task.function, *task.args)
    queue.run()
    row = ImageEmbedding.objects.get()
    assert (row.state, row.code, row.reason, row.attempts) == ("indexed", "", "", 0)


def test_storage_fault_keeps_the_vector_it_had(queue: Any, broken_storage: Any) -> None:
    broken_storage.undo()
    image = make_product(RED).images.get()
    queue.run()
    broken_storage.setattr(FileSystemStorage, "_open", lambda *args: (_ for _ in ()).throw(OSError("disk")))
    image.save()
    queue.run()
    assert ImageEmbedding.objects.get().vector is not None


def test_encoder_that_cannot_take_one_picture_fails_that_one(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    embed = FakeEncoder.embed

    def picky(self: FakeEncoder, images: Any) -> Any:
        if any(image.getpixel((0, 0)) == (30, 30, 200) for image in images):
            raise EncoderError("blue is beyond me")
        return embed(self, images)

    monkeypatch.setattr(FakeEncoder, "embed", picky)
    product = make_product()
    from django.db import transaction

    from catalog.models import ProductImage

    with transaction.atomic():
        for content in (RED, BLUE, RED):
            ProductImage.objects.create(product=product, image=upload(content))
    queue.run()
    assert sorted(ImageEmbedding.objects.values_list("state", "reason")) == [
        ("failed", "blue is beyond me"),
        ("indexed", ""),
        ("indexed", ""),
    ]


def test_signals(queue: Any) -> None:
    seen: list[tuple[Any, ...]] = []

    def indexed(sender: Any, source: Any, index: Any, object_id: str, **kwargs: Any) -> None:
        seen.append(("indexed", sender.__name__, source.name, index.source, object_id))

    def failed(sender: Any, object_id: str, code: str, reason: str, **kwargs: Any) -> None:
        seen.append(("failed", object_id, code, bool(reason)))
        raise RuntimeError("a receiver's own fault harms nothing")

    post_indexed.connect(indexed)
    post_failed.connect(failed)
    try:
        good, bad = make_product(RED).images.get(), make_product(b"no picture").images.get()
        queue.run()
        good.save()
        queue.run()
    finally:
        post_indexed.disconnect(indexed)
        post_failed.disconnect(failed)
    assert seen == [
        ("indexed", "ProductImage", "product", "product", str(good.pk)),
        ("failed", str(bad.pk), "not_an_image", True),
    ]


def test_queue_that_is_down_does_not_break_a_save(queue: Any, use_settings: Any) -> None:
    use_settings(ENQUEUE="tests.indexing.test_failures.enqueue_to_nowhere")
    make_product(RED)
    assert not ImageEmbedding.objects.exists()
    call_command("visualsearch_reindex", missing=True, sync=True)
    assert ImageEmbedding.objects.get().state == "indexed"


def enqueue_to_nowhere(function: str, *args: Any, delay: float = 0) -> None:
    raise ConnectionRefusedError("no queue here")


def test_reindex_says_that_some_failed(queue: Any, capsys: pytest.CaptureFixture[str]) -> None:
    make_product(RED, b"no picture")
    with pytest.raises(CommandError, match="Some images failed"):
        call_command("visualsearch_reindex", sync=True)
    assert "1 indexed, 1 failed" in capsys.readouterr().out


def test_missing_file_becomes_whole_again_after_a_save(queue: Any) -> None:
    image = make_product(RED).images.get()
    name = image.image.name
    default_storage.delete(name)
    queue.run()
    assert ImageEmbedding.objects.get().code == "file_missing"
    with default_storage.open(name, "wb") as file:
        file.write(RED)
    image.save()
    queue.run()
    assert ImageEmbedding.objects.get().state == "indexed"


def test_no_picture_is_to_blame_for_weights_that_do_not_fit(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Any, images: Any) -> Any:
        raise InvalidWeights("model.tflite does not fit")

    make_product(RED, BLUE)
    with monkeypatch.context() as patch:
        patch.setattr(FakeEncoder, "embed", refuses)
        with pytest.raises(InvalidWeights):
            queue.run()
        assert set(ImageEmbedding.objects.values_list("state", "reason")) == {("pending", "")}
        with pytest.raises(CommandError, match="does not fit"):
            call_command("visualsearch_reindex", "--missing", "--sync")
    call_command("visualsearch_reindex", "--missing", "--sync")
    assert set(ImageEmbedding.objects.values_list("state", flat=True)) == {"indexed"}
