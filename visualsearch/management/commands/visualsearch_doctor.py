"""manage.py visualsearch_doctor"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from visualsearch.doctor import Finding, Verdict, examine
from visualsearch.exceptions import SourceNotRegistered
from visualsearch.sources import all_sources, get_source

WAIT = 15.0  # seconds for a task


class Command(BaseCommand):
    help = "Looks at everything that visual search stands on, and says what to do where something is wrong."
    # What they complain of is among what is looked at.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", help="one source; by default every registered one")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
        parser.add_argument(
            "--timeout", type=float, default=WAIT, help="seconds that a task of the queue may take (%(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sources = [get_source(options["source"])] if options["source"] else all_sources()
        except SourceNotRegistered as error:
            raise CommandError(str(error)) from error
        if not options["timeout"] > 0:
            raise CommandError("--timeout must be more than 0 seconds.")
        findings = []
        for finding in examine(sources, options["timeout"]):
            findings.append(finding)
            if not options["json"]:
                self._show(finding)
        wrong = sum(finding.verdict is Verdict.WRONG for finding in findings)
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not wrong, "findings": [asdict(one) for one in findings]}, indent=2))
        if wrong:
            raise CommandError(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong; docs/doctor.md says more.")
        if not options["json"]:
            advice = sum(finding.verdict is Verdict.ADVICE for finding in findings)
            pieces = "one piece" if advice == 1 else f"{advice} pieces"
            self.stdout.write(f"All is well, with {pieces} of advice." if advice else "All is well.")

    def _show(self, finding: Finding) -> None:
        style = {Verdict.OK: self.style.SUCCESS, Verdict.WRONG: self.style.ERROR}.get(
            finding.verdict, self.style.WARNING
        )
        word = style(f"{finding.verdict.upper():7}")
        self.stdout.write(f"{word}  {finding.check:9}  {finding.said}")
        if finding.todo:
            self.stdout.write(f"{'':20}-> {finding.todo}")
