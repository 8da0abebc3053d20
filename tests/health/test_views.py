"""Live and ready: true, quick to say what is wrong by code, and silent about everything else."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client

from tests import shelf
from visualsearch import health
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.models import VisualIndex

FINE = [("database", "ok"), ("extension", "ok"), ("tables", "ok")]
SECRET = "host=db.internal user=shop password=hunter2"


@pytest.fixture(autouse=True)
def health_alone(settings: Any, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    settings.ROOT_URLCONF = "tests.health.urls"
    monkeypatch.setattr(health, "_last_said", [])
    client.raise_request_exception = True


def ready(client: Client) -> tuple[int, list[tuple[str, ...]]]:
    answer = client.get("/health/ready/")
    assert answer["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    found = answer.json()
    assert set(found) == {"ready", "checks"}
    assert found["ready"] is (answer.status_code == 200)
    return answer.status_code, [tuple(check.values()) for check in found["checks"]]


def test_live_asks_nobody(client: Client) -> None:
    """Without a database: pytest-django fails a test that is not marked and uses it."""
    answer = client.get("/health/live/")
    assert (answer.status_code, answer.json()) == (200, {"live": True})
    assert client.post("/health/live/").status_code == client.post("/health/ready/").status_code == 405
    assert client.head("/health/live/").status_code == 200


def test_ready_before_the_first_image_and_after_it(db: None, client: Client, fake_encoder: None, queue: Any) -> None:
    assert ready(client) == (200, [*FINE, ("version", "empty", "product")])
    shelf.make_product(shelf.picture())
    assert ready(client) == (503, [*FINE, ("version", "no_version", "product")]), "images that nobody indexes"
    shelf.index_everything()
    assert ready(client) == (200, [*FINE, ("version", "ok", "product"), ("model", "ok", "product")])


def test_a_model_that_cannot_be_used(
    db: None, client: Client, use_settings: Any, queue: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundled = MobileNetV2Compact().file.source
    mine = tmp_path / "mine.tflite"
    mine.write_bytes(Path(bundled).read_bytes())
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=str(mine))
    shelf.make_product(shelf.picture())
    shelf.index_everything()
    assert ready(client)[0] == 200
    mine.write_bytes(mine.read_bytes() + b"other weights")
    assert ready(client) == (
        503,
        [*FINE, ("version", "ok", "product"), ("model", "fingerprint_mismatch", "product")],
    )
    mine.unlink()
    with caplog.at_level(logging.INFO, "visualsearch.health"):
        for _ in range(3):
            status, checks = ready(client)
            assert (status, checks[-1]) == (503, ("model", "invalid_weights", "product"))
        mine.write_bytes(Path(bundled).read_bytes())
        assert ready(client)[0] == 200
    assert [record.getMessage() for record in caplog.records if record.name == "visualsearch.health"] == [
        "Searches: product model: fingerprint_mismatch",
        "Searches: product model: invalid_weights",
        "Searches: ready again",
    ]


def test_a_database_that_does_not_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError(f"connection to server failed: {SECRET}")

    monkeypatch.setattr(type(connections["default"]), "cursor", away)
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()) == (
        503,
        {"ready": False, "checks": [{"check": "database", "code": "database_unavailable"}]},
    )
    assert "hunter2" not in caplog.text


def test_a_statement_that_hangs_is_given_up(db: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 50)

    def hangs() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")
        yield

    monkeypatch.setattr(health, "_looked_at", hangs)
    assert ready(client) == (503, [("database", "database_unavailable")])


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("ALTER EXTENSION vector SET SCHEMA public; UPDATE pg_extension SET extname = 'v' WHERE extname = 'vector'", 1),
        ("ALTER TABLE visualsearch_imageembedding RENAME TO other", 2),
    ],
)
def test_a_database_that_is_not_set_up(db: None, client: Client, wrong: str, code: int) -> None:
    codes = ("database_unavailable", "extension_missing", "tables_missing")
    with connection.cursor() as cursor:
        cursor.execute(wrong)
    assert ready(client) == (503, [*FINE[:code], (FINE[code][0], codes[code])])


def test_a_version_of_another_encoder(db: None, client: Client, fake_encoder: None, queue: Any) -> None:
    shelf.make_product(shelf.picture())
    shelf.index_everything()
    VisualIndex.objects.update(fingerprint="0" * 64)
    assert ready(client)[1][-1] == ("model", "fingerprint_mismatch", "product")
