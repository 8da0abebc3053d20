"""Metrics for Prometheus, by prometheus-client. They are read from the database when they are asked for.

So they are the same whichever of several web processes answers, and there is nothing to share between these: counters
of searches have been added up in a table by ``usage``, and all else is the state of rows. A scrape costs what
``visualsearch_status`` costs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.db import Error
from django.db.models import Sum

from visualsearch import tasks, usage
from visualsearch.exceptions import MissingExtra
from visualsearch.models import SearchCount
from visualsearch.sources import all_sources
from visualsearch.status import SourceStatus, status_of

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PREFIX = "visualsearch"


def exposition(accept: str = "") -> tuple[bytes, str]:
    """The metrics in a format that is accepted, and its content type. Raises MissingExtra."""
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder
    except ImportError as error:
        raise MissingExtra("prometheus-client", "metrics") from error
    registry = CollectorRegistry()  # of this answer alone: the process's own has metrics that only it knows
    registry.register(_Collector())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Collector:
    def collect(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        try:
            statuses = [status_of(source) for source in all_sources()]
            found = [*_of_sources(statuses), *_of_searches([status.source for status in statuses]), *_of_queue()]
        except Error:
            found = []
        yield GaugeMetricFamily(
            f"{PREFIX}_up", "Whether the database answered; without it there is no other.", bool(found)
        )
        yield from found

    def describe(self) -> Iterable[Metric]:
        """Nothing is read when the collector is registered."""
        return []


def _gauge(name: str, text: str, labels: list[str], values: Iterable[tuple[list[str], float]]) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def _of_sources(statuses: list[SourceStatus]) -> Iterator[Metric]:
    by_state = ("indexed", "pending", "failed")
    yield _gauge(
        "images",
        "Images that have a file, by their state in the version in use.",
        ["source", "state"],
        [([one.source, state], getattr(one, state)) for one in statuses for state in by_state],
    )
    yield _gauge(
        "failed_images",
        "Images that failed, by reason.",
        ["source", "code"],
        [([one.source, code], count) for one in statuses for code, count in one.failed_by_code.items()],
    )
    yield _gauge(
        "version",
        "The version that searches use, 0 for none.",
        ["source", "encoder", "fingerprint", "calibration"],
        [([one.source, one.encoder, one.fingerprint[:12], one.calibration], one.version or 0) for one in statuses],
    )
    facts: list[tuple[str, str, Any]] = [
        ("encoder_fits", "Whether this process has the encoder of the version in use.", lambda one: one.encoder_fits),
        ("graph_ready", "Whether the version in use has its database index.", lambda one: one.prepared),
        ("paused", "Whether indexing is paused.", lambda one: one.paused_since is not None),
        ("held_tasks", "Tasks that wait for the end of the pause.", lambda one: one.held),
        (
            "worker_seen_timestamp_seconds",
            "When a worker gave its last sign of life, 0 for never.",
            lambda one: one.worker_seen_at.timestamp() if one.worker_seen_at else 0,
        ),
    ]
    for name, text, value in facts:
        yield _gauge(name, text, ["source"], [([one.source], value(one)) for one in statuses])


def _of_searches(sources: list[str]) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily

    counts: Counter[tuple[str, str, str]] = Counter()
    buckets: Counter[tuple[str, str, int]] = Counter()
    microseconds: Counter[tuple[str, str]] = Counter()
    found = SearchCount.objects.filter(source__in=sources).order_by()
    totals = found.values_list("source", "kind", "outcome", "bucket").annotate(Sum("count"), Sum("microseconds"))
    for source, kind, outcome, bucket, count, time in totals:
        counts[source, kind, outcome] += count
        if outcome in usage.TIMED:
            buckets[source, kind, bucket] += count
            microseconds[source, kind] += time
    total = CounterMetricFamily(f"{PREFIX}_searches", "Searches by outcome.", labels=["source", "kind", "outcome"])
    seconds = HistogramMetricFamily(
        f"{PREFIX}_search_seconds", "Time of searches that were answered, found or not.", labels=["source", "kind"]
    )
    for source in sources:
        for kind in usage.Kind.values:
            for outcome in usage.Outcome.values:
                total.add_metric([source, kind, outcome], counts[source, kind, outcome])
            below, cumulated = 0, []
            for number, bound in enumerate([*(f"{limit / 1000:g}" for limit in usage.BOUNDS), "+Inf"]):
                below += buckets[source, kind, number]
                cumulated.append((bound, float(below)))
            seconds.add_metric([source, kind], cumulated, microseconds[source, kind] / 1e6)
    yield total
    yield seconds


def _of_queue() -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    length = tasks.queue_length()
    if length is not None:
        yield GaugeMetricFamily(f"{PREFIX}_queue_tasks", "Tasks that wait in the queue, those of others too.", length)
