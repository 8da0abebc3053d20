"""manage.py visualsearch_index list | build | verify | activate | rollback | prune"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError

from visualsearch import lifecycle, upkeep
from visualsearch.exceptions import AnotherOperator, VersionRefused, VisualSearchError
from visualsearch.lifecycle import Listed, Switch, Verification
from visualsearch.lifecycle.verifying import MINIMUM_RECALL, SAMPLE
from visualsearch.management.building import bar, build_here, checked_chunk, described
from visualsearch.management.comparing import sheet
from visualsearch.models import VisualIndex
from visualsearch.sources import ImageSource, all_sources, get_source, only_source

State = VisualIndex.State
REFUSED, ANOTHER_OPERATOR = 1, 3  # exit statuses; 2 is argparse's own, for wrong arguments
INTERRUPTED = "Interrupted; the same command goes on where it stopped."
POLL_SECONDS = 0.5

Answer = dict[str, Any]


class Command(BaseCommand):
    help = "Shows and changes index versions: which encoder made the vectors that searches use."
    # A version whose encoder is missing is what this command is for.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        show = actions.add_parser("list", help="the versions of each source, and how far they are")
        build = actions.add_parser("build", help="a new version beside the active one, or one that was begun before")
        verify = actions.add_parser("verify", help="whether a version is whole and exact, and what it would change")
        activate = actions.add_parser("activate", help="make searches use a version, once it is verified")
        rollback = actions.add_parser("rollback", help="make searches use the version before, at once")
        prune = actions.add_parser("prune", help="throw retired versions away")
        for action in (show, build, verify, activate, rollback, prune):
            action.add_argument("--source", help="the source; not needed where there is only one")
            action.add_argument("--json", action="store_true", help="one JSON object instead of text")
        for action in (verify, activate):
            action.add_argument("number", nargs="?", type=int, metavar="VERSION", help="default: the newest one built")
            action.add_argument("--recall", type=float, default=MINIMUM_RECALL, help="least recall (%(default)s)")
            action.add_argument("--sample", type=int, help=f"queries that are asked ({SAMPLE})")
        verify.add_argument("--montage", type=Path, metavar="FILE.jpg", help="draw the queries that change most")
        for action in (verify, activate, rollback):
            action.add_argument("--force", action="store_true", help="go on; says which reasons against it are ignored")
        self._add_build_arguments(build)
        prune.add_argument("number", nargs="?", type=int, metavar="VERSION", help="this one, retired or being built")
        prune.add_argument("--keep", type=int, default=1, help="retired versions to keep, to go back to (%(default)s)")

    def _add_build_arguments(self, build: ArgumentParser) -> None:
        build.add_argument("--encoder", help="a bundled name, NAME@LABEL, or a dotted path; default: the settings'")
        build.add_argument("--sync", action="store_true", help="work here instead of queueing: no worker is needed")
        build.add_argument("--wait", action="store_true", help="queue, then wait until the version is built")
        build.add_argument("--rate", type=float, help="images a second at most, so that the shop stays fast")
        build.add_argument("--chunk", type=int, help="images a step, with --sync")

    def handle(self, *args: Any, **options: Any) -> None:
        action: Callable[[dict[str, Any]], Answer] = getattr(self, f"_{options['action']}")
        try:
            answer = action(options)
        except KeyboardInterrupt:
            raise CommandError(INTERRUPTED, returncode=130) from None
        except (VisualSearchError, DatabaseError) as error:
            text = str(error).strip().partition("\n")[0]
            if options["json"]:
                self.stdout.write(json.dumps({"action": options["action"], "refused": text}))
            raise CommandError(
                text, returncode=ANOTHER_OPERATOR if isinstance(error, AnotherOperator) else REFUSED
            ) from error
        if options["json"]:
            self.stdout.write(json.dumps(answer, indent=2, cls=DjangoJSONEncoder))
        if refusals := answer.get("refusals"):
            self._refuse(answer, refusals, options["force"])

    def _refuse(self, answer: Answer, refusals: list[str], force: bool) -> None:
        if not force:
            raise CommandError(f"Version {answer['version']} of {answer['source']} is refused: {' '.join(refusals)}")
        self.stderr.write(f"Ignored: {' '.join(refusals)}")

    def _say(self, options: dict[str, Any], *lines: str) -> None:
        if not options["json"]:
            self.stdout.write("\n".join(lines))

    # list

    def _list(self, options: dict[str, Any]) -> Answer:
        sources = [get_source(options["source"])] if options["source"] else all_sources()
        found = {source.name: lifecycle.listed(source) for source in sources}
        for name, versions in found.items():
            self._say(options, f"{name}:", *(_line(version) for version in versions), *([] if versions else ["  none"]))
        return {
            "sources": [
                {"source": name, "versions": [asdict(version) for version in versions]}
                for name, versions in found.items()
            ]
        }

    # build

    def _build(self, options: dict[str, Any]) -> Answer:
        if options["rate"] is not None and not options["rate"] > 0:
            raise CommandError("--rate must be above 0.")
        chunk, source = checked_chunk(options["chunk"]), only_source(options["source"])
        index = lifecycle.begin(source, options["encoder"])
        if options["sync"]:
            outcome = build_here(index, source, self.stderr, chunk=chunk, rate=options["rate"])
            said = described(outcome)
        else:
            upkeep.queue_build(index, options["rate"])
            said = "being built by the queue; see: manage.py visualsearch_index list"
            if options["wait"]:
                self._wait(index, source)
                said = "built"
        progress = lifecycle.progress_of(index, source)
        self._say(options, f"{source}: version {index.pk} ({index.encoder}): {said}.")
        if progress.failed and not progress.pending:
            self._say(options, f"{progress.failed} images failed; see: manage.py visualsearch_index verify {index.pk}")
        return {"source": source.name, "version": index.pk, "encoder": index.encoder, **asdict(progress)}

    def _wait(self, index: VisualIndex, source: ImageSource) -> None:
        total = lifecycle.progress_of(index, source).pending
        with bar(total, f"{source} v{index.pk}", self.stderr) as shown:
            while not (now := self._now(index, source)).ready:
                shown.update(max(0, total - now.pending - shown.n))
                time.sleep(POLL_SECONDS)

    def _now(self, index: VisualIndex, source: ImageSource) -> Listed:
        for version in lifecycle.listed(source):
            if version.version == index.pk:
                return version
        raise VersionRefused(f"Version {index.pk} of {source} was thrown away meanwhile.")

    # verify

    def _verify(self, options: dict[str, Any]) -> Answer:
        _require_sample(options)
        target: Path | None = options["montage"]
        if target and (target.suffix.lower() not in (".jpg", ".jpeg") or not target.parent.is_dir()):
            raise CommandError(f"A montage is a JPEG file in a folder that exists, not {target}.")
        source = only_source(options["source"])
        index = lifecycle.version(source, options["number"], State.BUILDING)
        found = lifecycle.verify(source, index, minimum_recall=options["recall"], sample=options["sample"])
        self._say(options, *_report(found))
        if target:
            sheet(source, found).save(target, "JPEG", quality=90)
            self._say(options, f"  montage: {target}")
        return asdict(found)

    # activate, rollback, prune

    def _activate(self, options: dict[str, Any]) -> Answer:
        _require_sample(options)
        source = only_source(options["source"])
        index = lifecycle.version(source, options["number"], State.BUILDING)
        given = {"force": options["force"], "minimum_recall": options["recall"], "sample": options["sample"]}
        return self._switched(options, source, *upkeep.activate(source, index, **given))

    def _rollback(self, options: dict[str, Any]) -> Answer:
        source = only_source(options["source"])
        return self._switched(options, source, *upkeep.rollback(source, force=options["force"]))

    def _switched(self, options: dict[str, Any], source: ImageSource, switch: Switch, queued: int) -> Answer:
        before = f" instead of version {switch.before}" if switch.before else ""
        self._say(options, f"{source}: searches use version {switch.version}{before}.")
        if switch.overridden:
            self.stderr.write(f"Ignored: {' '.join(switch.overridden)}")
        if queued:
            self._say(options, f"{queued} images that it lacks are queued.")
        return {"source": source.name, **asdict(switch), "queued": queued}

    def _prune(self, options: dict[str, Any]) -> Answer:
        if options["keep"] < 0:
            raise CommandError("--keep must be 0 or more.")
        source, number = only_source(options["source"]), options["number"]
        only = None if number is None else lifecycle.version(source, number)
        gone = lifecycle.prune(source, keep=options["keep"], only=only)
        lines = [f"{source}: version {version} and its {rows} rows are gone." for version, rows in gone.items()]
        self._say(options, *(lines or [f"{source}: there is no version to throw away."]))
        return {"source": source.name, "pruned": [{"version": number, "rows": rows} for number, rows in gone.items()]}


def _require_sample(options: dict[str, Any]) -> None:
    if options["sample"] is not None and options["sample"] < 1:
        raise CommandError("--sample must be 1 or more.")


def _line(version: Listed) -> str:
    fits = "" if version.encoder_fits else " (NOT an encoder of this process)"
    eta = f", {version.rate} images/s" if version.rate else ""
    eta += f", {version.eta_s} s left" if version.eta_s else ""
    return (
        f"  v{version.version} {version.state}: {version.encoder} {version.fingerprint[:12]}{fits}, "
        f"{version.dimensions} dimensions, {version.indexed} of {version.images} images indexed, "
        f"{version.pending} pending, {version.failed} failed{eta}; database index {version.graph}"
    )


def _report(found: Verification) -> list[str]:
    lines = [
        f"{found.source}: version {found.version}",
        f"  {found.images} images: {found.indexed} indexed, {found.pending} pending, {found.failed} failed; "
        f"{found.behind} behind the active version, {found.lost} lost; database index {found.graph}",
        f"  recall {_shown(found.recall, '.3f')} of {found.queries} queries against exact search "
        f"(at least {found.minimum_recall:g}); median {_shown(found.p50_ms, '.1f')} ms, "
        f"95% {_shown(found.p95_ms, '.1f')} ms",
    ]
    if found.active is not None:
        lines.append(
            f"  active version {found.active}: {_shown(found.overlap, '.0%')} of results are the same; median "
            f"{_shown(found.active_p50_ms, '.1f')} ms, 95% {_shown(found.active_p95_ms, '.1f')} ms"
        )
    return lines


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
