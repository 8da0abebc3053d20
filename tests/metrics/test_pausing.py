"""A paused source: its tasks are kept, none is lost, and a resume goes on with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from catalog.models import ProductImage
from tests import shelf
from visualsearch import lifecycle, pausing, tasks, upkeep, workers
from visualsearch.models import HeldTask, ImageEmbedding, IndexedSource, VisualIndex


@pytest.fixture
def images(db: None, fake_encoder: None, queue: Any) -> list[ProductImage]:
    made = [shelf.make_product(shelf.picture(shelf.shade(n))).images.get() for n in range(4)]
    queue.take()
    return made


def indexed() -> set[str]:
    found = ImageEmbedding.objects.filter(state="indexed", index__state="active")
    return set(found.values_list("object_id", flat=True))


def keys(*images: ProductImage) -> set[str]:
    return {str(image.pk) for image in images}


def test_tasks_of_a_paused_source_are_kept_and_none_is_lost(images: list[ProductImage], queue: Any) -> None:
    source = shelf.product_source()
    tasks.enqueue_images("product", [images[0].pk])
    queue.run()
    assert pausing.pause(source)
    assert not pausing.pause(source), "it is paused already"
    tasks.enqueue_images("product", [images[1].pk, images[2].pk])
    tasks.enqueue_images("product", [images[2].pk])
    tasks.enqueue_images("product", [images[0].pk], force=True)
    begun = lifecycle.begin(source)
    upkeep.queue_build(begun, 50.0)
    upkeep.queue_build(begun, 50.0)
    queue.run()
    assert indexed() == keys(images[0]), "nothing ran"
    assert pausing.held_tasks("product") == 5
    held_at = ImageEmbedding.objects.get(object_id=str(images[0].pk)).indexed_at

    assert upkeep.resume(source) == 3  # each image once for each kind of task
    assert [task.args for task in queue.tasks] == [
        (begun.pk, None, 50.0, 0, 0),
        ("product", [str(images[1].pk), str(images[2].pk)], False),
        ("product", [str(images[0].pk)], True),
    ]
    assert not HeldTask.objects.exists()
    queue.run()
    assert indexed() == keys(*images[:3])
    first = ImageEmbedding.objects.get(object_id=str(images[0].pk), index__state="active")
    assert first.indexed_at > held_at, "what was to be embedded anew was"
    assert lifecycle.progress_of(VisualIndex.objects.get(pk=begun.pk), source).pending == 0, "the build went on"
    assert upkeep.resume(source) is None, "nothing was paused"


def test_a_queue_that_takes_nothing_leaves_the_source_paused(
    images: list[ProductImage], queue: Any, use_settings: Any
) -> None:
    source = shelf.product_source()
    pausing.pause(source)
    tasks.index_images("product", [str(images[0].pk)])
    use_settings(ENQUEUE="tests.metrics.test_pausing.away")
    with pytest.raises(ConnectionError):
        upkeep.resume(source)
    assert pausing.paused_since("product")
    assert pausing.held_tasks("product") == 1


def away(function: str, *args: Any, delay: float = 0) -> None:
    raise ConnectionError("the queue is away")


def test_reconcile_looks_but_mends_nothing(images: list[ProductImage], queue: Any) -> None:
    pausing.pause(shelf.product_source())
    upkeep.reconcile("product")
    assert not HeldTask.objects.exists()
    upkeep.reconcile("product", fix=True)
    assert HeldTask.objects.get().function == "visualsearch.upkeep.reconcile"
    assert not queue.tasks


@pytest.fixture
def other_session(transactional_db: None) -> Iterator[Any]:
    other = connection.copy()
    yield other
    other.close()


def test_a_task_that_comes_while_it_is_resumed_runs(
    transactional_db: None, fake_encoder: None, queue: Any, other_session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saw the pause, waits for whoever resumes, and then is not kept: nobody would ever take it up."""
    source = shelf.product_source()
    pausing.pause(source)
    seen = pausing.paused_since

    def resumed_meanwhile(name: str) -> Any:
        since = seen(name)
        with other_session.cursor() as cursor:
            cursor.execute("UPDATE visualsearch_indexedsource SET paused_at = NULL WHERE name = %s", [name])
        return since

    monkeypatch.setattr(pausing, "paused_since", resumed_meanwhile)
    assert pausing.hold("product", "visualsearch.tasks.index_images", ["1"], False) is False
    assert not HeldTask.objects.exists()


def test_a_task_notes_that_its_worker_is_there(
    images: list[ProductImage], queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_last_sign", float("-inf"))
    assert workers.is_silent(workers.last_seen("product"))
    tasks.enqueue_images("product", [images[0].pk])
    queue.run()
    first = workers.last_seen("product")
    assert first
    assert not workers.is_silent(first)
    tasks.enqueue_images("product", [images[1].pk])
    queue.run()
    assert workers.last_seen("product") == first, "a second task within seconds writes nothing"
    workers.seen(always=True)
    assert workers.last_seen("product") > first
    IndexedSource.objects.update(worker_seen_at=first - timedelta(seconds=workers.SILENCE + 1))
    assert workers.is_silent(workers.last_seen("product"))


def test_a_sign_of_life_pauses_and_resumes_nothing(images: list[ProductImage]) -> None:
    pausing.pause(shelf.product_source())
    workers.seen(always=True)
    assert pausing.paused_since("product")


def test_a_database_that_is_away_is_said_once(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise transaction.TransactionManagementError("host=db.internal is away")

    class Unmoved:
        def close(self) -> None: ...

    monkeypatch.setattr(workers, "connections", {"default": Unmoved()})
    monkeypatch.setattr(workers, "seen", away)
    assert [workers._beat(True), workers._beat(False)] == [False, False]
    assert [record.getMessage() for record in caplog.records] == [
        "The worker's sign of life cannot be written: TransactionManagementError"
    ]
