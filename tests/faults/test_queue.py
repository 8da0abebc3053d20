"""The queue: two clusters on it, a task that is delivered twice at the same time, a migration while workers run."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from catalog.models import ProductImage
from tests.faults.services import Cluster, ended
from tests.faults.truth import assert_true_rows
from tests.processes import wait_until
from tests.shelf import make_product, picture, shade, upload
from visualsearch import tasks
from visualsearch.models import ImageEmbedding
from visualsearch.testing import FakeEncoder

pytestmark = [pytest.mark.fault]

TASKS, IN_A_TASK = 60, 4
ROUNDS = 8  # of two deliveries at once
BEFORE = "0003"  # the migration that a release comes from


def indexed() -> int:
    return ImageEmbedding.objects.filter(state="indexed").count()


def save(count: int) -> None:
    """So many tasks."""
    for number in range(count):
        product = make_product()
        with transaction.atomic():
            for place in range(IN_A_TASK):
                ProductImage.objects.create(product=product, image=upload(picture(shade(number + place))))


def test_two_clusters_on_one_queue(transactional_db: None, fake_encoder: None, tmp_path: Path) -> None:
    """Each does a part, and every image is done once."""
    from django_q.models import OrmQ

    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    save(TASKS)
    clusters = [Cluster(log) for log in logs]
    with ended(*clusters):
        for cluster in clusters:
            cluster.start()
        wait_until(lambda: indexed() and all("ready for work" in log.read_text() for log in logs), 120, logs[0])
        save(TASKS)
        wait_until(lambda: indexed() == 2 * TASKS * IN_A_TASK and not OrmQ.objects.exists(), 240, logs[0])
    done = [log.read_text().count("Processed") for log in logs]
    assert min(done) > 0, done
    assert set(ImageEmbedding.objects.values_list("claim", flat=True)) == {1}, "no image was taken up twice"
    assert_true_rows()


def test_task_delivered_twice_at_the_same_time(
    transactional_db: None, fake_encoder: None, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice of the same images, while some of them are replaced and some deleted."""
    embed = FakeEncoder.embed
    monkeypatch.setattr(FakeEncoder, "embed", lambda self, images: (time.sleep(0.01), embed(self, images))[1])
    images = [make_product(picture(shade(number))).images.get() for number in range(24)]
    errors: list[Exception] = []
    start = threading.Barrier(3)

    def deliver(keys: list[str]) -> None:
        try:
            start.wait(60)
            tasks.index_images("product", keys)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    for number in range(ROUNDS):
        keys = [str(image.pk) for image in images]
        twice = [threading.Thread(target=deliver, args=(keys,)) for _ in range(2)]
        for thread in twice:
            thread.start()
        start.wait(60)
        images.pop().delete()
        with default_storage.open(images[number].image.name, "wb") as file:
            file.write(picture(shade(100 + number)))  # under the same name
        images[number + 1].image = upload(picture(shade(200 + number)))
        images[number + 1].save()
        for thread in twice:
            thread.join(60)
        queue.run()
    assert errors == []
    tasks.index_images("product", [str(image.pk) for image in images])  # what was rewritten without a save
    assert_true_rows()


def test_migration_while_workers_run(transactional_db: None, fake_encoder: None, log: Path) -> None:
    """Workers newer than the tables wait for the migration with what is saved meanwhile; under workers that are
    older than the tables, as while a release is rolled out, everything goes on."""
    from django_q.models import OrmQ

    client = Client(headers={"host": "localhost"})
    cluster = Cluster(log)
    total = 4 * IN_A_TASK
    try:
        with ended(cluster):
            cluster.start()
            save(4)
            wait_until(lambda: indexed() == total, 120, log)
            product = ProductImage.objects.earliest("pk").product_id
            call_command("migrate", "visualsearch", BEFORE, verbosity=0)
            save(TASKS // 4)
            wait_until(lambda: "Failed" in log.read_text(), 60, log)
            call_command("migrate", verbosity=0)
            for table in ("visualsearch_imageembedding", "visualsearch_visualindex"):
                save(TASKS // 8)
                with connection.cursor() as cursor:
                    cursor.execute(f"ALTER TABLE {table} ADD COLUMN next_release integer NOT NULL DEFAULT 0")
                answer = client.get(f"/api/visualsearch/product/{product}/similar/")
                assert (answer.status_code, answer.json()["state"]) == (200, "ready")
            total += (TASKS // 4 + 2 * (TASKS // 8)) * IN_A_TASK
            wait_until(lambda: indexed() == total and not OrmQ.objects.exists(), 240, log)
    finally:
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE visualsearch_imageembedding DROP COLUMN IF EXISTS next_release")
            cursor.execute("ALTER TABLE visualsearch_visualindex DROP COLUMN IF EXISTS next_release")
    assert_true_rows()
