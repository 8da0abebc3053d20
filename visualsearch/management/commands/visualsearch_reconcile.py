"""manage.py visualsearch_reconcile"""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from visualsearch import drift, tasks, upkeep
from visualsearch.drift import MENDABLE, Drift
from visualsearch.drift.survey import ENCODED
from visualsearch.exceptions import VisualSearchError
from visualsearch.management.building import bar
from visualsearch.sources import ImageSource, all_sources, get_source

EXAMPLES = 20  # cases of a kind that are shown
BATCH = 500  # cases that are held and mended together
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass
class Report:
    """What was found in one source, or in none."""

    source: str
    images: int = 0
    drift: Counter[str] = field(default_factory=Counter)
    examples: list[Drift] = field(default_factory=list)
    mended: int = 0
    left: int = 0

    def note(self, cases: list[Drift], left: int) -> None:
        for case in cases:
            if self.drift[case.kind.value] < EXAMPLES:
                self.examples.append(case)
            self.drift[case.kind.value] += 1
        self.left += left
        self.mended += len(cases) - left

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "drift": dict(self.drift)}


class Command(BaseCommand):
    help = "Finds where the index is not what the shop's images say, and repairs it with --fix."
    # What the system checks complain of may be the very drift.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", help="one source; by default every registered one")
        parser.add_argument("--fix", action="store_true", help="repair what is found, here")
        parser.add_argument("--queue", action="store_true", help="with --fix: have the worker embed images")
        parser.add_argument(
            "--since", metavar="WHEN", help="read only files modified since then: 2h, 7d, 2027-01-31; default: all"
        )
        parser.add_argument(
            "--encode",
            metavar="N|all",
            default=str(ENCODED),
            help="vectors of each version to compare with what the encoder makes now (%(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
        parser.add_argument(
            "--schedule",
            choices=["hourly", "daily", "weekly", "never"],
            help="have django-q2 do this at regular times, with the same --fix and --since; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        since = _since(options["since"])
        if options["queue"] and not options["fix"]:
            raise CommandError("--queue goes with --fix.")
        try:
            if options["schedule"]:
                self._schedule(options, since)
                return
            sources = [get_source(options["source"])] if options["source"] else all_sources()
            reports = [self._source(source, since, _count(options["encode"]), options) for source in sources]
            reports.append(self._leftovers(options["fix"]))
        except KeyboardInterrupt:
            raise CommandError("Interrupted; what was mended stays mended.", returncode=130) from None
        except (VisualSearchError, DatabaseError) as error:
            raise CommandError(str(error).strip().partition("\n")[0]) from error
        self._show(reports, options)
        if left := sum(report.left for report in reports):
            raise CommandError(
                f"{left} cases of drift are left; see: docs/index-versions.md"
                if options["fix"]
                else f"{left} cases of drift; --fix repairs what can be repaired."
            )

    def _schedule(self, options: dict[str, Any], since: datetime | None) -> None:
        every = options["schedule"]
        hours = None if since is None else round((timezone.now() - since).total_seconds() / 3600, 3)
        upkeep.schedule(None if every == "never" else every, fix=options["fix"], hours=hours)
        self.stdout.write("Reconciling is scheduled no more." if every == "never" else f"Reconciling runs {every}.")

    def _source(
        self, source: ImageSource, since: datetime | None, encode: int | None, options: dict[str, Any]
    ) -> Report:
        report, fix = Report(source.name), options["fix"]
        reindex = _queue(source) if options["queue"] else None
        for cases in _batches(drift.survey(source, encode)):
            report.note(cases, drift.mend(source, cases, reindex) if fix else len(cases))
        with bar(source.with_file().count(), f"{source}: files", self.stderr) as progress:
            step = drift.step(source, None, since)
            while step.last is not None:
                for cases in _batches(step.drift):
                    report.note(cases, drift.mend(source, cases, reindex) if fix else len(cases))
                report.images += step.images
                progress.update(step.images)
                step = drift.step(source, step.last, since)
        return report

    def _leftovers(self, fix: bool) -> Report:
        report = Report("")
        if cases := list(drift.leftovers()):
            report.note(cases, drift.mend(None, cases) if fix else len(cases))
        return report

    def _show(self, reports: list[Report], options: dict[str, Any]) -> None:
        if options["json"]:
            sources = [report.as_dict() for report in reports if report.source]
            found = {"fix": options["fix"], "sources": sources, "leftovers": reports[-1].as_dict()}
            self.stdout.write(json.dumps(found, indent=2))
            return
        for report in reports:
            if report.source or report.drift:
                self.stdout.write("\n".join(_lines(report, options)))


def _lines(report: Report, options: dict[str, Any]) -> Iterator[str]:
    done = f"; {report.mended} mended, {report.left} left" if options["fix"] and report.drift else ""
    total = sum(report.drift.values())
    where = f"{report.source}: {report.images} images" if report.source else "of no source"
    yield f"{where}, {total} cases of drift{done}"
    for kind, count in sorted(report.drift.items()):
        shown = [case for case in report.examples if case.kind == kind][:3]
        cases = "; ".join(" ".join(filter(None, [_place(case), case.detail])) for case in shown)
        by_hand = "" if kind in MENDABLE else " (not mended by --fix)"
        yield f"  {kind}{by_hand}: {count} ({cases}{'; ...' if count > len(shown) else ''})"


def _place(case: Drift) -> str:
    version = f"v{case.version}" if case.version else ""
    return " ".join(filter(None, [case.object_id, version]))


def _batches(cases: Iterable[Drift]) -> Iterator[list[Drift]]:
    iterator = iter(cases)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _queue(source: ImageSource) -> drift.Reindex:
    def queue(pks: list[str], force: bool) -> int:
        tasks.enqueue_images(source.name, pks, force=force)
        return 0

    return queue


def _since(given: str | None) -> datetime | None:
    """``2h``, ``7d``, a date or a time. Raises CommandError."""
    if given is None:
        return None
    if match := re.fullmatch(r"(\d+)([mhdw])", given):
        return timezone.now() - int(match[1]) * UNITS[match[2]]
    try:
        day = parse_date(given)
        found = parse_datetime(given) or (datetime(day.year, day.month, day.day) if day else None)
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"--since takes a span such as 2h or 7d, or a date such as 2027-01-31, not {given!r}.")
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def _count(given: str) -> int | None:
    if given == "all":
        return None
    if not given.isdecimal():
        raise CommandError(f"--encode takes a number or all, not {given!r}.")
    return int(given)
