from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from visualsearch.contrib.training.options import Options, add_arguments, distil
from visualsearch.exceptions import VisualSearchError


class Command(BaseCommand):
    help = "Train a fresh MobileNetV2 from a teacher, on folders of unlabelled pictures."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            weights = distil(Options.read(options), self._say)
        except VisualSearchError as exc:
            raise CommandError(str(exc)) from exc
        self._say(str(weights))

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
