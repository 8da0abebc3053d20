"""manage.py catalog_import"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError
from tqdm import tqdm

from catalog import importing

HELP = f"""
Makes products of the pictures in a folder; run again, it changes only what changed.

Sub-folders become categories; pictures in the folder itself are "Uncategorised". Titles come from the file names,
prices start at 0.00 and stock at 1, unless --csv says otherwise.

The CSV (UTF-8; comma, semicolon or tab) needs a header with the column path, relative to the folder, and any of
{", ".join(importing.COLUMNS[1:])}. Empty cells mean: the default for a new product, no change for one that is there.
Lines with the same SKU add images to one product. Files that the CSV does not name are imported all the same.

Files are known by their path: one whose content changed replaces the picture, and what was edited in the shop stays
unless the CSV says otherwise. Files that were removed from the folder stay in the shop.

New images are not queued one by one: run visualsearch_reindex --missing afterwards. Images whose file changed are
queued as they are saved.

Exit status 1 if any file failed; the rest is imported.
"""


class Command(BaseCommand):
    help = HELP.strip()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER")
        parser.add_argument(
            "--ext",
            default=",".join(importing.EXTENSIONS),
            metavar="jpg,png,...",
            help="file name extensions, in any case (default: %(default)s)",
        )
        parser.add_argument(
            "--recursive",
            action="store_true",
            help="look further down than the sub-folders; a picture's own folder is its category",
        )
        parser.add_argument("--csv", type=Path, metavar="FILE", help="names, SKUs, prices, categories and stock")
        parser.add_argument("--dry-run", action="store_true", help="change nothing, print what would happen")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            groups, failures = importing.plan(
                options["folder"], _extensions(options["ext"]), recursive=options["recursive"], csv=options["csv"]
            )
            outcome = self._import(groups, options["dry_run"])
        except (importing.FolderError, importing.ManifestError, importing.StorageFault) as exc:
            raise CommandError(str(exc)) from exc
        except IntegrityError as exc:
            raise CommandError("Somebody else changed the same products meanwhile; run the import again.") from exc
        outcome.failures[:0] = failures
        self._report(outcome, options["dry_run"])

    def _import(self, groups: importing.Groups, dry_run: bool) -> importing.Outcome:
        total = importing.Outcome()
        files = sum(map(len, groups.values()))
        with tqdm(total=files, unit="file", desc="importing", disable=not sys.stderr.isatty()) as bar:
            for batch in importing.batches(groups):
                outcome = importing.apply(batch, dry_run=dry_run)
                total.add(outcome)
                bar.update(sum(map(len, batch.values())))
        return total

    def _report(self, outcome: importing.Outcome, dry_run: bool) -> None:
        if dry_run:
            for step in outcome.steps:
                self.stdout.write(step)
        self.stdout.write(
            f"{'Dry run, nothing was changed: ' if dry_run else ''}"
            f"{outcome.created} created, {outcome.updated} updated, {outcome.unchanged} unchanged, "
            f"{len(outcome.failures)} failed; {outcome.products} new products."
        )
        if outcome.created and not dry_run:
            self.stdout.write("The new images are searchable after: manage.py visualsearch_reindex --missing")
        if outcome.failures:
            for failure in outcome.failures:
                self.stderr.write(str(failure))
            count = len(outcome.failures)
            raise CommandError(f"{count} {'file' if count == 1 else 'files'} failed, for the reasons above.")


def _extensions(text: str) -> tuple[str, ...]:
    extensions = tuple(dict.fromkeys(part.strip().lstrip(".").lower() for part in text.split(",") if part.strip(" .")))
    if not extensions:
        raise CommandError(f"--ext {text!r} names no extension; for example: --ext jpg,png")
    return extensions
