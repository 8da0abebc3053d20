"""Counts of searches: whole over processes and threads, in nobody's way, and never falling."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from tests import shelf
from tests.processes import ROOT, environment, wait_until
from visualsearch import search_by_image, similar_to, usage
from visualsearch.exceptions import ImageRefused, InvalidLimit, StoreError
from visualsearch.models import SearchCount
from visualsearch.stores import get_store

FIVE = """
import django
django.setup()
from catalog.models import Product
from visualsearch import similar_to
for _ in range(5):
    similar_to(Product.objects.earliest("pk"))
"""


def goods() -> list[Any]:
    made = [shelf.make_product(shelf.picture(shelf.shade(n))) for n in range(3)]
    shelf.index_everything()
    return made


def outcomes() -> dict[tuple[str, str], int]:
    found = SearchCount.objects.values("kind", "outcome").annotate(total=Sum("count"))
    return {(row["kind"], row["outcome"]): row["total"] for row in found}


def test_searches_are_counted_by_what_they_came_to(db: None, counting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = goods()
    similar_to(first)
    search_by_image(shelf.picture())
    search_by_image(shelf.picture(), filters={"price_min": 10**6})
    with pytest.raises(ImageRefused):
        search_by_image(b"no picture")
    with pytest.raises(InvalidLimit):
        similar_to(first, limit=0)
    with monkeypatch.context() as patch:
        patch.setattr(type(get_store()), "search", lambda *args, **kwargs: (_ for _ in ()).throw(StoreError))
        with pytest.raises(StoreError):
            similar_to(first)
    assert not SearchCount.objects.exists(), "nothing is written beside a search"
    usage.write()
    assert outcomes() == {
        ("similar", "answered"): 1,
        ("similar", "refused"): 1,
        ("similar", "failed"): 1,
        ("photo", "answered"): 1,
        ("photo", "empty"): 1,
        ("photo", "refused"): 1,
    }
    today = usage.usage_of("product")
    assert (today.searches, today.photos, today.empty, today.refused, today.failed) == (6, 3, 1, 2, 1)
    assert today.p50_ms is not None
    assert 0 < today.p50_ms <= today.p95_ms
    assert usage.usage_of("product", timezone.localdate() - timedelta(days=1)) == usage.Usage()


def test_nothing_is_counted_where_that_is_off(db: None, counting: None, use_settings: Any) -> None:
    first, *_ = goods()
    use_settings(COUNT_EVERY=0)
    similar_to(first)
    usage.write()
    assert not SearchCount.objects.exists()
    assert usage._counters._timer is None


def test_processes_and_threads_add_up(transactional_db: None, counting: None, use_settings: Any) -> None:
    """A timer writes here, and another process as it ends, into the same row."""
    first, *_ = goods()
    other = subprocess.Popen([sys.executable, "-c", FIVE], cwd=ROOT, env=environment(VISUALSEARCH={"COUNT_EVERY": 60}))
    use_settings(COUNT_EVERY=0.05)
    similar_to(first)
    assert other.wait(60) == 0
    wait_until(lambda: outcomes() == {("similar", "answered"): 6}, 10)
    wait_until(lambda: usage._counters._timer is None, 5)


def test_a_forked_child_counts_its_own_alone(db: None, counting: None) -> None:
    first, *_ = goods()
    similar_to(first)
    child = os.fork()
    if not child:
        os._exit(len(usage._counters._sums))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(usage._counters._sums) == 1


def test_a_table_that_takes_nothing_costs_no_search_and_no_count(
    db: None, counting: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, *_ = goods()
    with monkeypatch.context() as patch:
        patch.setattr(usage, "_add_to_table", lambda sums: (_ for _ in ()).throw(OSError("postgres://shop:pw@db")))
        for _ in range(3):
            similar_to(first)
            usage._counters.write()
    assert [record.getMessage() for record in caplog.records if record.name == "visualsearch.usage"] == [
        "Searches are counted, but cannot be written now: OSError"
    ]
    usage._counters.write()
    assert outcomes() == {("similar", "answered"): 3}


def test_what_was_counted_in_another_database_is_dropped(
    db: None, counting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the end of a shop's own test run, when the settings name its real database again."""
    first, *_ = goods()
    similar_to(first)
    with monkeypatch.context() as patch:
        patch.setattr(usage, "_database", lambda: "the real one")
        usage.write()
    usage.write()
    assert not SearchCount.objects.exists()


def test_old_days_are_added_up_and_the_sum_never_falls(db: None, counting: None) -> None:
    today = timezone.localdate()
    about = {"source": "product", "kind": "similar", "outcome": "answered"}
    for age in (0, usage.DAYS, usage.DAYS + 1, usage.DAYS + 2):
        for bucket in (3, 4):
            SearchCount.objects.create(**about, day=today - timedelta(days=age), bucket=bucket, count=5, microseconds=7)
    for _ in range(2):
        usage._fold(today - timedelta(days=usage.DAYS))
        days = SearchCount.objects.values_list("day", "bucket", "count", "microseconds").order_by("day", "bucket")
        assert list(days) == [
            (date.min, 3, 10, 14),
            (date.min, 4, 10, 14),
            (today - timedelta(days=usage.DAYS), 3, 5, 7),
            (today - timedelta(days=usage.DAYS), 4, 5, 7),
            (today, 3, 5, 7),
            (today, 4, 5, 7),
        ]


def test_percentiles_are_by_a_line_within_the_bucket() -> None:
    counts = [0] * (len(usage.BOUNDS) + 1)
    assert usage.percentile(counts, 0.5) is None
    counts[3] = 10  # over 5 and up to 10 ms
    assert usage.percentile(counts, 0.5) == 7.5
    counts[5] = 10  # over 20 and up to 35 ms
    assert (usage.percentile(counts, 0.5), usage.percentile(counts, 0.75)) == (10.0, 27.5)
    counts[-1] = 100  # longer than the last bound
    assert usage.percentile(counts, 0.95) == usage.BOUNDS[-1]


def test_buckets_hold_what_they_say(db: None, counting: None) -> None:
    for seconds in (0.0005, 0.001, 0.0011, 5.0, 5.1):
        usage._record("product", SearchCount.Kind.PHOTO, SearchCount.Outcome.ANSWERED, seconds)
    usage.write()
    found = dict(SearchCount.objects.values_list("bucket", "count"))
    assert found == {0: 2, 1: 1, len(usage.BOUNDS) - 1: 1, len(usage.BOUNDS): 1}
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(microseconds) FROM visualsearch_searchcount")
        assert cursor.fetchone() == (10_102_600,)
