"""What Prometheus reads: with its token, the same from every process, and of no customer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from tests import shelf
from tests.processes import ROOT
from visualsearch import pausing, usage, workers
from visualsearch.exceptions import MissingExtra
from visualsearch.models import SearchCount, VisualIndex

TOKEN = "a long token"
ADDRESS = "/health/metrics/"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def metrics_alone(settings: Any, fake_encoder: None, queue: Any, use_settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.health.urls"
    use_settings(METRICS_TOKEN=TOKEN)


def scrape(client: Client) -> Samples:
    answer = client.get(ADDRESS, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name.removeprefix("visualsearch_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def of(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted({"source": "product", **labels}.items()))]


def test_only_with_the_token(client: Client, use_settings: Any) -> None:
    for given in ("", "Bearer", "Bearer other", f"Basic {TOKEN}", TOKEN, "Bearer ä"):
        answer = client.get(ADDRESS, headers={"authorization": given})
        assert (answer.status_code, answer.content) == (403, b"Not without the token.\n")
    use_settings(METRICS_TOKEN=None)
    assert client.get(ADDRESS, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 403
    use_settings(METRICS_TOKEN="")
    assert client.get(ADDRESS, headers={"authorization": "Bearer "}).status_code == 403


def test_what_is_told(db: None, client: Client) -> None:
    shelf.make_product(shelf.picture(), shelf.picture("blue"), b"no picture")
    shelf.index_everything()
    shelf.make_product(shelf.picture("red"))
    for day, outcome, bucket, count, time in [
        (timezone.localdate(), "answered", 3, 5, 40_000),
        (timezone.localdate(), "empty", 3, 1, 8_000),
        (usage.FIRST, "answered", len(usage.BOUNDS), 2, 12_000_000),
        (timezone.localdate(), "failed", 3, 7, 1),
    ]:
        about = {"source": "product", "kind": "photo", "outcome": outcome, "day": day, "bucket": bucket}
        SearchCount.objects.create(**about, count=count, microseconds=time)
    workers.seen(always=True)
    pausing.pause(shelf.product_source())
    pausing.hold("product", "visualsearch.tasks.index_images", "product", ["1"], False)
    found = scrape(client)
    assert found["up", ()] == 1
    assert [of(found, "images", state=state) for state in ("indexed", "pending", "failed")] == [2, 1, 1]
    assert of(found, "failed_images", code="not_an_image") == 1
    index = VisualIndex.objects.get()
    named = {"encoder": index.encoder, "fingerprint": index.fingerprint[:12], "calibration": "none"}
    assert of(found, "version", **named) == index.pk
    assert of(found, "encoder_fits") == of(found, "graph_ready") == of(found, "paused") == of(found, "held_tasks") == 1
    assert abs(of(found, "worker_seen_timestamp_seconds") - timezone.now().timestamp()) < 60
    assert [of(found, "searches_total", kind="photo", outcome=outcome) for outcome in usage.Outcome.values] == [
        7,
        1,
        0,
        7,
    ]
    assert of(found, "searches_total", kind="similar", outcome="failed") == 0
    bars = [of(found, "search_seconds_bucket", kind="photo", le=le) for le in ("0.005", "0.01", "5", "+Inf")]
    assert bars == [0, 6, 6, 8]
    assert of(found, "search_seconds_count", kind="photo") == 8
    assert of(found, "search_seconds_sum", kind="photo") == pytest.approx(12.048)
    assert not any(name == "queue_tasks" for name, _ in found), "the shop of this test has a queue of its own"


def test_the_queue_is_counted_where_it_is_django_q2s(db: None, client: Client, use_settings: Any) -> None:
    from visualsearch import tasks

    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    before = scrape(client)["queue_tasks", ()]
    tasks.enqueue_images("product", ["1"])
    assert scrape(client)["queue_tasks", ()] == before + 1


def test_a_database_that_is_away_is_a_metric_and_no_error(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> None:
        raise OperationalError("password=hunter2")

    monkeypatch.setattr("visualsearch.metrics.status_of", away)
    assert scrape(client) == {("up", ()): 0}


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r'pip install "django-visualsearch\[metrics\]"'):
        client.get(ADDRESS, headers={"authorization": f"Bearer {TOKEN}"})


def test_page_names_every_metric_and_no_other(db: None, client: Client, use_settings: Any) -> None:
    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    shelf.make_product(b"no picture")
    shelf.index_everything()
    page = (Path(ROOT) / "docs" / "operations.md").read_text()
    named = set(re.findall(r"^\| `visualsearch_(\w+)", page, re.MULTILINE))
    families = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name, _ in scrape(client)}
    assert {re.sub(r"_total$", "", name) for name in named} == families
