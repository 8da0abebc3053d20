"""Reconciling by the queue in short steps, at regular times, over many images; and the command's own words."""

from __future__ import annotations

import gc
import re
import tracemalloc
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalog.models import ProductImage
from tests.conftest import ROOT
from tests.drift.conftest import reconcile
from tests.drift.scale import fill
from tests.drift.test_kinds import file_changed, image_without_row, index_missing, row_without_image, vector_wrong
from tests.shelf import product_source
from visualsearch import drift, upkeep
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores import get_store

Shop = list[ProductImage]


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("visualsearch_reconcile", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        said(*arguments)
    return str(caught.value)


def test_in_words(shop: Shop) -> None:
    assert said() == "product: 6 images, 0 cases of drift\n"
    row_without_image(shop)
    out = StringIO()
    with pytest.raises(CommandError, match="2 cases of drift; --fix repairs what can be repaired"):
        call_command("visualsearch_reconcile", stdout=out)
    version = VisualIndex.objects.get().pk
    assert out.getvalue() == (
        "product: 5 images, 2 cases of drift\n"
        f"  row_without_image: 2 ({shop[0].pk} v{version}; no key at all v{version})\n"
    )
    assert "2 cases of drift; 2 mended, 0 left\n" in said("--fix")


def test_since_reads_only_what_was_modified(shop: Shop, monkeypatch: pytest.MonkeyPatch, drift_of: Any) -> None:
    import os

    kind, keys = file_changed(shop)
    path, hour = shop[3].image.path, 3600
    for age, found in ((hour // 2, {kind: keys}), (2 * hour, {})):
        then = timezone.now().timestamp() - age
        os.utime(path, (then, then))
        assert drift_of("--since", "1h") == found
    assert drift_of("--since", "1d") == {kind: keys}
    assert drift_of("--since", "2020-01-31") == {kind: keys}
    monkeypatch.setattr("django.core.files.storage.FileSystemStorage.get_modified_time", _unknown)
    assert drift_of("--since", "1h") == {kind: keys}, "a storage that cannot tell has all its files read"


def _unknown(self: Any, name: str) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--since", "soon"], "--since takes a span such as 2h or 7d, or a date such as 2027-01-31, not 'soon'."),
        (["--since", "2027-02-31"], "--since takes a span"),
        (["--encode", "few"], "--encode takes a number or all, not 'few'."),
        (["--queue"], "--queue goes with --fix."),
        (["--source", "shoes"], "There is no source 'shoes'. Registered sources: product."),
        (["--schedule", "daily"], "ENQUEUE is not django-q2's: have your own scheduler run manage.py visualsearch_rec"),
    ],
)
def test_wrong_arguments_are_one_sentence(shop: Shop, arguments: list[str], sentence: str) -> None:
    assert refused(*arguments).startswith(sentence)


def test_repairs_by_the_worker(shop: Shop, queue: Any, drift_of: Any) -> None:
    image_without_row(shop)
    said("--fix", "--queue")
    assert [task.function for task in queue.tasks] == ["visualsearch.tasks.index_images"]
    queue.run()
    assert drift_of() == {}


def test_by_the_queue_in_steps(shop: Shop, queue: Any, use_settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step gives others their turn, and carries on where it stopped."""
    use_settings(CHUNK=2)
    monkeypatch.setattr("visualsearch.upkeep.REST", 0)
    row_without_image(shop)
    index_missing(shop)
    file_changed(shop)
    upkeep.reconcile_all(True)
    steps = []
    while queue.tasks:
        task = queue.tasks[0]
        steps += [task.args] if task.function == "visualsearch.upkeep.reconcile" else []
        queue.tasks.remove(task)
        getattr(
            upkeep if "upkeep" in task.function else __import__("visualsearch.tasks").tasks,
            task.function.rpartition(".")[2],
        )(*task.args)
    keys = [str(image.pk) for image in shop]
    assert [args[3] if len(args) > 3 else None for args in steps] == [None, keys[2], keys[4], keys[5]]
    assert steps[-1][4] == {"row_without_image": 2, "index_missing": 1, "file_changed": 1}
    assert reconcile()[1] == ""


def test_without_fix_the_queue_only_says(
    shop: Shop, queue: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_without_row(shop)
    with caplog.at_level("WARNING", "visualsearch.upkeep"):
        upkeep.reconcile("product")
    assert "product: drift: 2 image_without_row" in caplog.text
    assert not queue.tasks
    upkeep.reconcile("shoes")
    assert "There is no source 'shoes'" in caplog.text


def test_a_wrong_vector_in_the_sample_has_all_embedded_anew(shop: Shop, queue: Any) -> None:
    vector_wrong(shop)
    ImageEmbedding.objects.update(indexed_at=None)
    upkeep.reconcile("product", fix=True)
    queue.run()
    assert not ImageEmbedding.objects.filter(indexed_at=None).exists()
    assert reconcile("--encode", "all")[1] == ""


def test_schedule_is_safe_to_repeat(shop: Shop, use_settings: Any) -> None:
    from django_q.models import Schedule

    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    assert said("--schedule", "daily", "--fix") == "Reconciling runs daily.\n"
    Schedule.objects.create(name="visualsearch_reconcile", func="x")  # as two first runs at the same time may leave it
    for _ in range(2):
        said("--schedule", "weekly", "--fix", "--since", "2d")
    (found,) = Schedule.objects.all()
    assert (found.func, found.args, found.schedule_type, found.repeats) == (
        "visualsearch.upkeep.reconcile_all",
        "(True, 48.0)",
        "W",
        -1,
    )
    assert said("--schedule", "never") == "Reconciling is scheduled no more.\n"
    assert not Schedule.objects.exists()


def test_the_scheduled_task_is_queued_and_runs(shop: Shop, use_settings: Any, queue: Any, drift_of: Any) -> None:
    """Through django-q2's own scheduler, with the arguments as it reads them."""
    from datetime import timedelta

    from django_q.brokers import get_broker
    from django_q.models import OrmQ, Schedule
    from django_q.scheduler import scheduler

    image_without_row(shop)
    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    said("--schedule", "daily", "--fix", "--since", "2d")
    Schedule.objects.update(next_run=timezone.now() - timedelta(seconds=1))
    scheduler(broker=get_broker())
    (queued,) = OrmQ.objects.all()
    use_settings(ENQUEUE="tests.recorded_queue.enqueue")
    assert queued.task["func"] == "visualsearch.upkeep.reconcile_all"
    upkeep.reconcile_all(*queued.task["args"])
    queue.run()
    assert drift_of() == {}


def test_memory_does_not_grow_with_the_catalogue(transactional_db: None, fake_encoder: None, queue: Any) -> None:
    """Images and rows are looked at in steps: the largest step decides, however many there are."""
    index, peaks = fill(600), []
    source = product_source()
    for steps in (1, 4, 12):
        tracemalloc.start()
        images, last = 0, None
        for _ in range(steps):
            step = drift.step(source, last, size=50)
            images, last = images + step.images, step.last
            gc.collect()  # what waits in reference cycles for the collector's turn is no growth
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert images == steps * 50
    assert peaks[2] < 1.3 * peaks[1]
    assert list(drift.survey(source)) == [drift.Drift(drift.Kind.INDEX_MISSING, "product", index.pk)]
    get_store().drop(index)


def test_the_page_names_every_kind() -> None:
    text = (ROOT / "docs" / "index-versions.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.M) == [kind.value for kind in drift.Kind]
