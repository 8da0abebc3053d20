"""manage.py visualsearch_reindex"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from visualsearch import lifecycle, tasks
from visualsearch.exceptions import SourceNotRegistered, VisualSearchError
from visualsearch.indexing import Outcome
from visualsearch.management.building import bar, build_here, checked_chunk, described
from visualsearch.sources import ImageSource, all_sources, get_source

POLL_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Indexes images. By default those that are missing: without a row, waiting, or whose file has another name. "
        "Images that are up to date cost one read of their file at most, so the same command takes an interrupted run "
        "up again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", help="one source; by default every registered one")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--missing", action="store_true", help="images that have no vector of their present file")
        which.add_argument("--failed", action="store_true", help="images that failed, also where the file is the same")
        which.add_argument("--all", action="store_true", help="every image: reads each file, embeds those that changed")
        which.add_argument("--pks", nargs="+", metavar="PK", help="these images, also where the file is the same")
        which.add_argument(
            "--rebuild",
            action="store_true",
            help="a new index version with the present encoder, made here; it then replaces the active one",
        )
        parser.add_argument("--force", action="store_true", help="with --all: embed files that did not change as well")
        parser.add_argument("--sync", action="store_true", help="work here instead of queueing: no worker is needed")
        parser.add_argument("--wait", action="store_true", help="queue, then wait for the worker to finish")
        parser.add_argument("--chunk", type=int, help="images a task, or a step with --sync")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["force"] and not options["all"]:
            raise CommandError("--force goes with --all.")
        chunk = checked_chunk(options["chunk"])
        try:
            total = Outcome()
            for source in self._sources(options["source"]):
                total += self._run(source, chunk, options)
        except VisualSearchError as error:
            raise CommandError(str(error)) from error
        if total.failed or total.retry:
            raise CommandError("Some images failed; see: manage.py visualsearch_status")

    def _sources(self, name: str | None) -> list[ImageSource]:
        sources = [get_source(name)] if name else all_sources()
        if not sources:
            raise SourceNotRegistered("No source is registered: call visualsearch.register() in your app's ready().")
        return sources

    def _run(self, source: ImageSource, chunk: int, options: dict[str, Any]) -> Outcome:
        if options["rebuild"]:
            return self._rebuild(source, chunk)
        force = bool(options["failed"] or options["pks"] or options["force"])
        pks = self._pks(source, options)
        if not options["sync"]:
            count = tasks.enqueue_images(source.name, self._bar(pks, source.name), force=force, chunk=chunk)
            self.stdout.write(f"{source}: {count} images queued.")
            return self._followed(source, count) if options["wait"] else Outcome()
        outcome = Outcome()
        with bar(len(pks), source.name, self.stderr) as progress:
            for part in tasks.chunks(pks, chunk):
                outcome += lifecycle.index_images(source, part, force=force)
                progress.update(len(part))
        lifecycle.prepare(source)
        self.stdout.write(f"{source}: {described(outcome)}.")
        return outcome

    def _rebuild(self, source: ImageSource, chunk: int) -> Outcome:
        """``visualsearch_index build --sync`` and ``activate``. Goes on with a version that was begun before."""
        index = lifecycle.begin(source)
        outcome = build_here(index, source, self.stderr, chunk=chunk)
        lifecycle.activate(source, index)
        self.stdout.write(f"{source}: version {index.pk} is active, {described(outcome)}.")
        return outcome

    def _pks(self, source: ImageSource, options: dict[str, Any]) -> list[Any]:
        if options["pks"]:
            return [self._pk(source, value) for value in options["pks"]]
        scope: lifecycle.Scope = "failed" if options["failed"] else "all" if options["all"] else "missing"
        return list(lifecycle.to_index(source, scope).order_by("pk").values_list("pk", flat=True))

    def _pk(self, source: ImageSource, value: str) -> Any:
        try:
            return source.pk_field.to_python(value)
        except ValidationError as error:
            raise CommandError(f"{value!r} is not a key of {source.model.__name__}.") from error

    def _bar(self, pks: list[Any], label: str) -> Any:
        return tqdm(pks, desc=f"{label}: queueing", unit="image", file=self.stderr, disable=None if pks else True)

    def _followed(self, source: ImageSource, count: int) -> Outcome:
        """Waits until nothing of the source is left to index, showing what is done."""
        with bar(count, f"{source}: indexing", self.stderr) as progress:
            while left := lifecycle.to_index(source, "missing").count():
                progress.update(max(0, count - left - progress.n))
                time.sleep(POLL_SECONDS)
            progress.update(count - progress.n)
        return Outcome(failed=lifecycle.to_index(source, "failed").count())
