"""The doctor where what everything stands on is wrong: settings, server, extension, tables, queue."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from catalog.models import ProductImage
from tests.doctor.conftest import CHECKS, GROUND, examined
from tests.processes import ROOT, environment, running, wait_until
from visualsearch import doctor, upkeep
from visualsearch.models import IndexedSource, QueueProbe
from visualsearch.workers import seen

EMPTY = "visualsearch_doctor_empty"

Wrong = Callable[..., tuple[str, str]]


def test_wrong_database_host(db: None, fake_encoder: None) -> None:
    """In a process of its own, as an operator runs it: words, a status, and no traceback."""
    env = {**environment(), "DATABASE_URL": "postgresql://shop:secret@nowhere.invalid/shop"}
    command = [sys.executable, "manage.py", "visualsearch_doctor"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "secret" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].startswith("WRONG    database   Database 'default' does not answer: OperationalError: ")
    assert "nowhere.invalid" in lines[1]
    assert lines[2].strip().startswith("-> Start the PostgreSQL server, or correct HOST, PORT, NAME, USER and PASSWORD")
    unknown = [*CHECKS[2:], "reconcile"]
    assert [line.split()[:2] for line in lines[3:]] == [["UNKNOWN", name] for name in unknown]
    assert done.stderr.strip().endswith("1 thing is wrong; docs/doctor.md says more.")


@pytest.fixture
def empty_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The connection is one to a new database of the same server."""
    name = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {EMPTY}")
            cursor.execute(f"CREATE DATABASE {EMPTY}")
        connection.close()
        connection.settings_dict["NAME"] = EMPTY
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = name
            with connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {EMPTY}")
            connection.close()


def test_extension_and_tables_that_are_missing(empty_database: None, fake_encoder: None, wrong: Wrong) -> None:
    said, todo = wrong("extension")
    assert said == "The server has pgvector, but this database does not."
    assert "CREATE EXTENSION vector;" in todo
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION vector")
    said, todo = wrong("tables")
    assert "migrations were not run: 0001_initial, " in said
    assert todo == "Run: manage.py migrate"
    found, _ = examined()
    assert {name: found[name]["verdict"] for name in GROUND} == {
        "settings": "ok",
        "database": "ok",
        "extension": "ok",
        "tables": "wrong",
    }


def test_settings_that_are_wrong(shop: list[ProductImage], use_settings: Any, settings: Any, wrong: Wrong) -> None:
    before = settings.VISUALSEARCH
    use_settings(THUMBNAIL="shop.nothing")
    said, todo = wrong("settings")
    assert said.startswith("THUMBNAIL names 'shop.nothing', which cannot be imported: ")
    assert said.endswith("(visualsearch.E007)")
    assert todo.startswith("Name a function thumbnail(file, side)")
    use_settings(ENCODERS="mobilenet_v2")
    said, _ = wrong("settings")
    assert said.startswith("VISUALSEARCH has unknown keys: ENCODERS.")
    found, _ = examined()
    assert {found[name]["verdict"] for name in CHECKS[1:]} == {"unknown"}
    settings.VISUALSEARCH = before


def test_no_worker(shop: list[ProductImage], use_settings: Any, wrong: Wrong) -> None:
    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    said, todo = wrong("queue", "--timeout", "0.3")
    assert said == "A task was queued, and nobody did it in 0.3 s; tasks that wait: 1; no worker was ever seen."
    assert todo == "Start a worker, and have it started with the machine: manage.py qcluster"
    seen(always=True)
    said, todo = wrong("queue", "--timeout", "0.3")
    assert "; a worker was last seen 0\xa0minutes ago." in said
    assert todo.startswith("The worker may be busy: look again with --timeout 300.")
    use_settings(ENQUEUE="tests.doctor.test_ground.broken")
    said, todo = wrong("queue")
    assert said == "No task can be queued: ConnectionError: No broker answers."
    use_settings(ENQUEUE="visualsearch.testing.enqueue_nothing")
    IndexedSource.objects.all().delete()
    assert wrong("queue", "--timeout", "0.1")[1].endswith("that of the queue which ENQUEUE names")
    assert not QueueProbe.objects.exists()


def test_drift_that_nobody_looks_for(shop: list[ProductImage], use_settings: Any) -> None:
    assert list(doctor.queue.reconcile()) == [], "a shop on another queue has a scheduler of its own"
    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    (finding,) = doctor.queue.reconcile()
    assert finding.verdict == "advice"
    assert finding.todo.startswith("Run once: manage.py ")
    call_command(*finding.todo.removeprefix("Run once: manage.py ").split(), stdout=StringIO())
    entry = upkeep.scheduled()
    assert entry is not None
    for late, verdict, said in [
        (timedelta(hours=-20), "ok", "Drift is looked for daily, next 20"),
        (timedelta(minutes=5), "ok", "Drift is looked for daily, next 20"),
        (timedelta(hours=30), "wrong", "Drift is looked for daily, and has been due for 1\xa0day"),
    ]:
        entry.next_run = timezone.now() - late
        entry.save()
        (finding,) = doctor.queue.reconcile()
        assert finding.verdict == verdict
        assert finding.said.startswith(said)
    said_of, _ = examined("--timeout", "0.2")
    assert said_of["reconcile"]["verdict"] == "wrong"
    assert said_of["reconcile"]["todo"] == "Start a worker whose scheduler is on: manage.py qcluster"


def broken(function: str, *args: Any, delay: float = 0) -> None:
    raise ConnectionError("No broker answers.")


@pytest.mark.queue
def test_worker_that_runs(shop: list[ProductImage], use_settings: Any, tmp_path: Path) -> None:
    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    log = tmp_path / "qcluster.log"
    with running("qcluster", log=log, Q_CLUSTER={"poll": 0.1}):
        wait_until(lambda: IndexedSource.objects.filter(worker_seen_at__isnull=False).exists(), 60, log)
        said, status = examined("--timeout", "60")
    assert status == 0
    assert said["queue"]["said"].startswith("A task was queued and done in ")
