"""manage.py visualsearch_evaluate"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from PIL import Image
from tqdm import tqdm

from visualsearch.evaluation import report
from visualsearch.evaluation.choice import Contestant, contestants
from visualsearch.evaluation.pairs import csv_pairs
from visualsearch.evaluation.pictures import Task, class_folders
from visualsearch.evaluation.plot import Line, coverage_plot
from visualsearch.evaluation.sheet import sheet
from visualsearch.evaluation.trial import Trial, compared, judged, run
from visualsearch.exceptions import VisualSearchError

MONTAGE_SUFFIXES, PLOT_SUFFIXES = (".jpg", ".jpeg"), (".png",)


class Command(BaseCommand):
    help = (
        "Measures how well an encoder finds: on folders of class sub-folders, on a CSV of pairs, or on a source's own "
        "images. Without --gallery each picture is asked of all the others. Two encoders are compared."
    )
    # Folders need no database, no index and no encoder that the settings name.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("queries", nargs="?", type=Path, metavar="QUERIES", help="a folder: QUERIES/CLASS/picture")
        parser.add_argument(
            "--gallery", type=Path, metavar="FOLDER", help="search in this folder, not in QUERIES itself"
        )
        parser.add_argument("--csv", type=Path, metavar="FILE", help="rows of (query, relevant, ...), paths in QUERIES")
        parser.add_argument("--source", metavar="NAME", help="a registered source's own images")
        parser.add_argument(
            "--by",
            metavar="FIELD",
            help="with --source: `product` (other views of it; the default), or a field of products such as `category`",
        )
        parser.add_argument("--sample", type=int, metavar="N", help="with --source: at most N queries, drawn at random")
        parser.add_argument(
            "--encoder", action="append", default=[], metavar="NAME", help="by default the settings'; two are compared"
        )
        parser.add_argument(
            "--weights",
            action="append",
            default=[],
            metavar="FILE",
            help="a .tflite file, a .weights.h5 that was built, or bundled; two are compared",
        )
        parser.add_argument("--k", type=int, default=10, help="results a query (10)")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of a report")
        parser.add_argument("--montage", type=Path, metavar="FILE.jpg", help="draw the best, median and worst queries")
        parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw precision against coverage by score")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._answer(options)
        except VisualSearchError as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"The database cannot answer: {str(error).strip().partition(chr(10))[0]}") from error
        except OSError as error:
            raise CommandError(f"{error.filename or options['queries']}: {error.strerror or error}.") from error

    def _answer(self, options: dict[str, Any]) -> None:
        _check(options)
        names, weights = _split(options["encoder"]), _split(options["weights"])
        trials = self._shop(options, names, weights) if options["source"] else self._folders(options, names, weights)
        for target, picture in _drawn(trials, options):
            # Without subsampling, so that the frames keep their colour; PNG passes over what is JPEG's own.
            picture.save(target, quality=88, subsampling=0, optimize=True)
        self.stdout.write(json.dumps(_as_dict(trials), indent=2) if options["json"] else "\n".join(_lines(trials)))
        if not options["json"]:
            for name in ("montage", "plot"):
                if options[name]:
                    self.stdout.write(f"{name.capitalize()}: {options[name]}")

    def _folders(self, options: dict[str, Any], names: list[str], weights: list[str]) -> list[Trial]:
        chosen = contestants(names, weights)
        queries, gallery = options["queries"], options["gallery"]
        task = csv_pairs(options["csv"], queries, gallery) if options["csv"] else class_folders(queries, gallery)
        return [self._run(task, each, options["k"]) for each in chosen]

    def _shop(self, options: dict[str, Any], names: list[str], weights: list[str]) -> list[Trial]:
        """With the active index's vectors where they are of the encoder asked for; others are made of the files."""
        from visualsearch.evaluation.shop import PRODUCT, SAMPLE, shop_task, stored
        from visualsearch.models import active_index
        from visualsearch.sources import get_source

        source = get_source(options["source"])
        task = shop_task(source, options["by"] or PRODUCT, options["sample"] or SAMPLE)
        index = active_index(source)
        if not names and not weights:
            if index is None:
                raise CommandError(
                    f"Source {source.name!r} has no index yet; run: manage.py visualsearch_reindex --source "
                    f"{source.name}, or name an encoder with --encoder to read the pictures."
                )
            return [judged(task, *stored(task, index), options["k"])]
        trials = []
        for each in contestants(names, weights):
            if index is not None and each.fingerprint == index.fingerprint:
                trials.append(judged(task, *stored(task, index), options["k"]))
            else:
                trials.append(self._run(task, each, options["k"]))
        return trials

    def _run(self, task: Task, contestant: Contestant, k: int) -> Trial:
        total = len({picture.key for picture in [*task.queries, *task.gallery]})
        with tqdm(total=total, desc=contestant.name, unit="image", file=self.stderr, disable=None, leave=False) as bar:
            return run(task, contestant, k, bar.update)


def _split(given: Sequence[str]) -> list[str]:
    """``--encoder a,b`` is ``--encoder a --encoder b``."""
    return [part.strip() for each in given for part in each.split(",") if part.strip()]


def _check(options: dict[str, Any]) -> None:
    """Mistakes that are known before a picture is read."""
    folders = [f"--{name}" for name in ("gallery", "csv") if options[name]]
    if options["source"] and (options["queries"] or folders):
        raise CommandError(f"--source evaluates the shop's own images; leave {', '.join(['QUERIES', *folders])} out.")
    if not (options["source"] or options["queries"] or options["csv"]):
        raise CommandError("Name a folder of class sub-folders, a --csv of pairs, or a --source.")
    for name in ("by", "sample"):
        if options[name] is not None and not options["source"]:
            raise CommandError(f"--{name} goes with --source.")
    for name in ("k", "sample"):
        if options[name] is not None and options[name] < 1:
            raise CommandError(f"--{name} must be 1 or more.")
    for name, suffixes in (("montage", MONTAGE_SUFFIXES), ("plot", PLOT_SUFFIXES)):
        target: Path | None = options[name]
        if target is not None and target.suffix.lower() not in suffixes:
            raise CommandError(f"--{name} {target} must end in {' or '.join(suffixes)}.")
        if target is not None and not target.parent.is_dir():
            raise CommandError(f"There is no folder {target.parent} for the {name}.")


def _drawn(trials: Sequence[Trial], options: dict[str, Any]) -> list[tuple[Path, Image.Image]]:
    found: list[tuple[Path, Image.Image]] = []
    if options["montage"]:
        found.append((options["montage"], sheet(trials[0])))
    if options["plot"]:
        lines = [Line(str(trial.contestant), trial.curve()) for trial in trials]
        found.append((options["plot"], coverage_plot(lines, queries=len(trials[0].queries))))
    return found


def _as_dict(trials: Sequence[Trial]) -> dict[str, Any]:
    """The first encoder's figures; with two, both and their comparison as well."""
    first = trials[0]
    found = report.as_dict(first)
    for second in trials[1:]:
        found["encoders"] = [found.copy(), report.as_dict(second)]
        found["comparison"] = report.comparison_dict(first, second, compared(first, second))
    return found


def _lines(trials: Sequence[Trial]) -> list[str]:
    first = trials[0]
    lines = list(report.lines(first))
    for second in trials[1:]:
        lines += ["", "", *report.lines(second), "", ""]
        lines += report.comparison_lines(first, second, compared(first, second))
    return lines
