"""manage.py visualsearch_status"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from visualsearch.exceptions import VisualSearchError
from visualsearch.sources import all_sources, get_source
from visualsearch.status import SourceStatus, status_of

SCORES = {
    "own": "scores: calibrated with this shop's pairs",
    "bundled": "scores: the calibration of the weights; your own: manage.py visualsearch_calibrate",
    "none": "no scores: nothing is known of this encoder's distances; run: manage.py visualsearch_calibrate",
}


class Command(BaseCommand):
    help = "Says what is indexed, what waits and what failed, for each source."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", help="one source; by default every registered one")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sources = [get_source(options["source"])] if options["source"] else all_sources()
            found = [status_of(source) for source in sources]
        except VisualSearchError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"sources": [status.as_dict() for status in found]}, indent=2))
            return
        if not found:
            self.stdout.write("No source is registered.")
        for status in found:
            self.stdout.write("\n".join(self._lines(status)))

    def _lines(self, status: SourceStatus) -> list[str]:
        if status.version is None:
            head = "no index version yet"
        else:
            fits = "" if status.encoder_fits else ", NOT this process's encoder"
            graph = "HNSW index ready" if status.prepared else "no HNSW index yet"
            head = f"version {status.version}, {status.encoder} {status.fingerprint[:12]}{fits}, {graph}"
        lines = [
            f"{status.source}: {head}",
            f"  {status.images} images: {status.indexed} indexed, {status.pending} pending, {status.failed} failed",
        ]
        lines += [f"    {count} failed: {code}" for code, count in sorted(status.failed_by_code.items())]
        lines += _work(status)
        return [*lines, *([f"  {SCORES[status.calibration]}"] if status.calibration else [])]


def _work(status: SourceStatus) -> list[str]:
    """What goes on: indexing, the worker, today's searches."""
    lines = []
    if status.eta_s is not None:
        lines.append(f"  {status.rate:g} images/s, {status.eta_s} s left")
    if status.paused_since:
        lines.append(f"  PAUSED for {_seconds(status.paused_since)} s: {status.held} tasks wait")
    if status.worker_seen_at:
        kind = "NO WORKER, the last one" if status.no_worker else "worker"
        lines.append(f"  {kind} seen {_seconds(status.worker_seen_at)} s ago")
    today = status.today
    if today.searches:
        median, p95 = ("-" if value is None else f"{value:g} ms" for value in (today.p50_ms, today.p95_ms))
        lines.append(
            f"  {today.searches} searches today, {today.empty} empty, {today.refused} refused, {today.failed} failed: "
            f"median {median}, 95% {p95}"
        )
    return lines


def _seconds(since: datetime) -> int:
    return max(0, round((timezone.now() - since).total_seconds()))
