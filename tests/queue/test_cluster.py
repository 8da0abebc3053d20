"""A real django-q2 cluster on a real database: saved images become searchable, and a killed cluster loses none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from catalog.models import ProductImage
from tests.encoders.built import ensure_built
from tests.processes import kill_group, running, wait_until
from tests.shelf import make_product, picture, product_source, shade, upload
from visualsearch import lifecycle, search_by_image, workers
from visualsearch.models import ImageEmbedding

pytestmark = [pytest.mark.queue]

# Short enough for a test: a task that nobody acknowledged is handed out again after 8 seconds.
QUICK = {"timeout": 6, "retry": 8, "workers": 2, "poll": 0.1}


@pytest.fixture
def real_encoder(use_settings: Any) -> None:
    weights = ensure_built("mobilenet_v2_compact")
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=str(weights))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "qcluster.log"


@pytest.fixture
def cluster(transactional_db: None, real_encoder: None, log: Path) -> Iterator[Any]:
    with running("qcluster", log=log, Q_CLUSTER=QUICK) as process:
        yield process


def indexed() -> int:
    return ImageEmbedding.objects.filter(state="indexed", vector__isnull=False).count()


def save_photographs(paths: list[Path]) -> None:
    product = make_product()
    for start in range(0, len(paths), 8):
        with transaction.atomic():
            for path in paths[start : start + 8]:
                ProductImage.objects.create(product=product, image=upload(path.read_bytes(), path.name))


def test_saved_product_is_found_by_its_photograph(cluster: Any, log: Path, clothing: list[Path]) -> None:
    wait_until(lambda: workers.last_seen("product"), 60, log)  # a worker that has had nothing to do yet
    products = [make_product(path.read_bytes()) for path in clothing[:3]]
    wait_until(lambda: indexed() == 3, 60, log)
    found = search_by_image(clothing[1].read_bytes(), 3)
    assert found[0].product == products[1]
    assert found[0].distance < 0.01


def test_killed_cluster_loses_nothing(
    transactional_db: None, real_encoder: None, log: Path, clothing: list[Path]
) -> None:
    """SIGKILL in the middle of 200 images, then a new cluster: every image is indexed once, none is stuck."""
    from django_q.models import OrmQ

    with running("qcluster", log=log, Q_CLUSTER=QUICK) as first:
        save_photographs(clothing[:200])
        wait_until(lambda: indexed() >= 20, 60, log)
        kill_group(first)
    done = indexed()
    assert 20 <= done < 200, "the cluster was to be killed in the middle"
    assert OrmQ.objects.exists()
    with running("qcluster", log=log, Q_CLUSTER=QUICK):
        wait_until(lambda: indexed() == 200 and not OrmQ.objects.exists(), 120, log)
    assert ImageEmbedding.objects.count() == 200
    assert set(ImageEmbedding.objects.values_list("attempts", "reason")) == {(0, "")}
    assert lifecycle.to_index(product_source(), "missing").count() == 0


def test_delayed_task_is_scheduled_and_then_runs(transactional_db: None, fake_encoder: None, settings: Any) -> None:
    """What a retry after a storage fault relies on: django-q2's own scheduler picks it up when it is due."""
    from datetime import timedelta

    from django.utils import timezone
    from django_q.brokers import get_broker
    from django_q.models import OrmQ, Schedule
    from django_q.scheduler import scheduler

    from visualsearch import tasks

    image = make_product(picture(shade(1))).images.get()
    OrmQ.objects.all().delete()
    tasks.enqueue("visualsearch.tasks.index_images", "product", [str(image.pk)], False, delay=300)
    scheduler(broker=get_broker())
    assert not OrmQ.objects.exists()
    Schedule.objects.update(next_run=timezone.now() - timedelta(seconds=1))
    scheduler(broker=get_broker())
    (queued,) = OrmQ.objects.all()
    assert queued.task["args"] == ("product", [str(image.pk)], False)
    assert not Schedule.objects.exists()


def test_enqueue_waits_for_no_disk_and_leaves_the_shops_own_commit_alone(transactional_db: None) -> None:
    from django_q.models import OrmQ

    from visualsearch import tasks

    with CaptureQueriesContext(connection) as alone:
        tasks.enqueue("visualsearch.tasks.index_images", "product", ["1"], False)
    (queued,) = [query["sql"] for query in alone.captured_queries if "django_q_ormq" in query["sql"]]
    assert queued.startswith("SET LOCAL synchronous_commit = off; INSERT")
    with CaptureQueriesContext(connection) as inside, transaction.atomic():
        tasks.enqueue("visualsearch.tasks.index_images", "product", ["2"], False)
    assert not any("synchronous_commit" in query["sql"] for query in inside.captured_queries)
    assert OrmQ.objects.count() == 2


def test_enqueue_keeps_the_connection_that_the_save_used(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visualsearch import tasks

    connection.ensure_connection()
    monkeypatch.setattr(connection, "close_at", 0)  # as with CONN_MAX_AGE = 0
    own = connection.connection
    with CaptureQueriesContext(connection) as captured:
        tasks.enqueue("visualsearch.tasks.index_images", "product", ["1"], False)
    assert connection.connection is own
    assert len(captured) == 1


def test_enqueue_with_server_side_binding_sends_its_setting_first(binds_on_server: None) -> None:
    from django_q.models import OrmQ

    from visualsearch import tasks

    with CaptureQueriesContext(connection) as captured:
        tasks.enqueue("visualsearch.tasks.index_images", "product", ["1"], False)
    sent = [query["sql"] for query in captured.captured_queries]
    inserted = next(place for place, sql in enumerate(sent) if sql.startswith("INSERT"))
    assert sent[inserted - 1] == "SET LOCAL synchronous_commit = off; "
    assert sent[inserted + 1] == "COMMIT"
    assert OrmQ.objects.count() == 1
