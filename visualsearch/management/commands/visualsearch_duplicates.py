"""manage.py visualsearch_duplicates"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from visualsearch import duplicates
from visualsearch.duplicates import Found, Group, Side
from visualsearch.exceptions import VisualSearchError
from visualsearch.management.building import bar
from visualsearch.models import DuplicateSearch, active_index, rows
from visualsearch.sources import ImageSource, all_sources, get_source

LIMIT = 20  # groups that are shown where nobody says how many
PAGE = 50  # groups that are held together
PAIRS = 20  # of a group that are shown


class Command(BaseCommand):
    help = "Finds products that have nearly the same picture as another one, and keeps what it found for the admin."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", help="one source; by default every registered one")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
        parser.add_argument("--limit", type=int, default=LIMIT, help="groups to show, 0 for all (%(default)s)")
        parser.add_argument("--stored", action="store_true", help="show what the last search found; do not search")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit"] < 0:
            raise CommandError("--limit must be 0 or more.")
        try:
            sources = [get_source(options["source"])] if options["source"] else all_sources()
            if not sources:
                raise CommandError("No source is registered.")
            self._show(sources, options)
        except KeyboardInterrupt:
            raise CommandError("Interrupted; what the search before found is kept.", returncode=130) from None
        except (VisualSearchError, DatabaseError) as error:
            raise CommandError(str(error).strip().partition("\n")[0]) from error

    def _show(self, sources: list[ImageSource], options: dict[str, Any]) -> None:
        """Group by group as they are read, so that a long list takes no memory."""
        write = _json_lines if options["json"] else _lines
        self.stdout.write('{"sources": [' if options["json"] else "", ending="")
        for number, source in enumerate(sources):
            start = time.monotonic()
            found = self._found(source, options)
            seconds = None if options["stored"] else time.monotonic() - start
            if number and options["json"]:
                self.stdout.write(",")
            for line in write(source, found, seconds, options["limit"]):
                self.stdout.write(line)
        if options["json"]:
            self.stdout.write("]}")

    def _found(self, source: ImageSource, options: dict[str, Any]) -> DuplicateSearch:
        if options["stored"]:
            found = duplicates.latest(source)
            if found is None:
                raise CommandError(f"No search of {source} is kept; leave --stored out.")
            return found
        index = active_index(source)
        total = rows(index, vector__isnull=False).count() if index else 0
        with bar(total, f"{source}: near-duplicates", self.stderr) as progress:
            return duplicates.search(source, progress.update)


def _groups(source: ImageSource, found: DuplicateSearch, limit: int) -> Iterator[Group]:
    queryset = duplicates.groups_of(found)
    end = limit or None
    for start in range(0, end or found.pairs.count(), PAGE):
        page = list(queryset[start : min(start + PAGE, end) if end else start + PAGE])
        yield from duplicates.loaded(source, found, page, PAIRS)
        if len(page) < PAGE:
            return


def _lines(source: ImageSource, found: DuplicateSearch, seconds: float | None, limit: int) -> Iterator[str]:
    took = f" in {seconds:.1f} s" if seconds is not None else f" on {found.started_at:%Y-%m-%d at %H:%M} UTC"
    total = duplicates.groups_of(found).count()
    yield (
        f"{source}: {found.images} images compared{took} (version {found.index_id}); groups of products with"
        f" pictures nearer than {found.within:.4f}: {total}"
    )
    for group in _groups(source, found, limit):
        if group.products > 2:
            yield f"  {group.products} products, {group.count} pairs"
        for pair in group.pairs:
            how = "same file" if pair.same_file else f"{pair.distance:.4f}"
            indent = "  " * (1 + (group.products > 2))
            yield f"{indent}{how:9}  {_named(pair.first)}  =  {_named(pair.second)}"
        if group.count > len(group.pairs):
            yield f"    and {group.count - len(group.pairs)} more"
    if limit and total > limit:
        yield f"  and {total - limit} more groups; --limit 0 shows all"


def _named(side: Side) -> str:
    return f"{side.key} {side.product}" + ("" if side.is_shown else " (off sale)")


def _json_lines(source: ImageSource, found: DuplicateSearch, seconds: float | None, limit: int) -> Iterator[str]:
    head = {
        "source": source.name,
        "version": found.index_id,
        "searched_at": found.started_at.isoformat(),
        "seconds": None if seconds is None else round(seconds, 2),
        "images": found.images,
        "within": found.within,
        "pairs": duplicates.shown(found).count(),
        "groups_total": duplicates.groups_of(found).count(),
    }
    yield json.dumps(head)[:-1] + ', "groups": ['
    for number, group in enumerate(_groups(source, found, limit)):
        yield ("," if number else "") + json.dumps(_group(group))
    yield "]}"


def _group(group: Group) -> dict[str, Any]:
    return {"products": group.products, "count": group.count, "pairs": [_pair(pair) for pair in group.pairs]}


def _pair(pair: Found) -> dict[str, Any]:
    sides = [
        {"product": side.key, "name": str(side.product), "image": str(side.image.pk), "on_sale": side.is_shown}
        for side in (pair.first, pair.second)
    ]
    return {"distance": round(pair.distance, 6), "same_file": pair.same_file, "sides": sides}
