"""manage.py visualsearch_calibrate"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from django.utils import timezone
from tqdm import tqdm

from visualsearch.calibration import Fit, Pairs, Reliability, calibration_in_use, calibration_of, fit, reliability
from visualsearch.exceptions import CalibrationError, VisualSearchError
from visualsearch.models import VisualIndex, active_index
from visualsearch.pairs import By, Sample, judged_pairs, shown_pairs
from visualsearch.sources import ImageSource, only_source

NAMED_AT_MOST = 5  # keys left out that are named
BEFORE = {
    "own": "this version's own calibration",
    "bundled": "the calibration of the weights",
    "none": "no calibration; cosine similarity, to compare with",
}


@dataclass(frozen=True)
class Result:
    """Of one run: what is in use now, how well it holds, what was fitted, and how well that holds."""

    index: VisualIndex
    pairs: Pairs
    in_use: str
    before: Reliability
    fitted: Fit
    after: Reliability
    left_out: Sequence[str]


class Command(BaseCommand):
    help = (
        "Fits scores to this shop: from pairs of its images, the probability that a result at some distance is of the "
        "same kind. Stored with the active index version; the order of results never changes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", help="the source to calibrate; not needed where there is only one")
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--by",
            choices=["category", "product"],
            help="of the same kind are products of one category (the default), or other images of the same product",
        )
        which.add_argument(
            "--pairs",
            type=Path,
            metavar="FILE.csv",
            help="your own judgement: image,other,same or product,other,same, with keys and 0 or 1",
        )
        which.add_argument(
            "--remove", action="store_true", help="go back to the calibration of the weights, or to none"
        )
        parser.add_argument("--field", metavar="LOOKUP", help="from the product to its category; by default: category")
        parser.add_argument("--queries", type=int, default=1000, help="images to search with (1000)")
        parser.add_argument("--k", type=int, default=10, help="results of each that are looked at (10)")
        parser.add_argument("--seed", type=int, default=0, help="of the choice of images (0)")
        parser.add_argument("--dry-run", action="store_true", help="fit and show, but do not store")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["field"] and (options["pairs"] or options["remove"] or options["by"] == "product"):
            raise CommandError("--field goes with --by category.")
        if options["k"] < 1 or options["queries"] < 1 or options["seed"] < 0:
            raise CommandError("--k and --queries must be 1 or more, and --seed 0 or more.")
        try:
            source = only_source(options["source"])
            index = active_index(source)
            if index is None:
                raise CalibrationError(
                    f"Source {source.name!r} has no active index version; run: "
                    f"manage.py visualsearch_reindex --source {source.name}"
                )
            if options["remove"]:
                self._remove(index, source, options)
                return
            result = self._fitted(index, source, options)
        except VisualSearchError as error:
            raise CommandError(str(error)) from error
        except Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database cannot answer: {reason}") from error
        if not options["dry_run"]:
            _store(index, source, result.fitted.calibration.as_dict())
        if options["json"]:
            self.stdout.write(json.dumps(_as_dict(result, saved=not options["dry_run"]), indent=2))
        else:
            self.stdout.write("\n".join(_lines(result, saved=not options["dry_run"])))

    def _fitted(self, index: VisualIndex, source: ImageSource, options: dict[str, Any]) -> Result:
        pairs, about, left_out = self._pairs(index, source, options)
        fitted = fit(pairs, {**about, "at": timezone.now().isoformat(timespec="seconds")})
        current = calibration_of(index.calibration, index.fingerprint)
        in_use = calibration_in_use(index.calibration, index.fingerprint)
        before = current.probability(pairs.distances) if current else (1 - pairs.distances).clip(0, 1)
        after = reliability(fitted.held_out, pairs)
        return Result(index, pairs, in_use, reliability(before, pairs), fitted, after, left_out)

    def _pairs(
        self, index: VisualIndex, source: ImageSource, options: dict[str, Any]
    ) -> tuple[Pairs, dict[str, Any], Sequence[str]]:
        """The pairs, what is to be remembered of them, and the keys that were left out."""
        if options["pairs"]:
            pairs, left_out = judged_pairs(index, source, options["pairs"])
            return pairs, {"by": "pairs", "file": options["pairs"].name}, left_out
        by: By = "product" if options["by"] == "product" else "category"
        field = options["field"] or "category"
        sample = Sample(options["queries"], options["k"], options["seed"])
        pairs = shown_pairs(index, source, by, field=field, sample=sample, progress=self._progress)
        about = {"by": by, **({"field": field} if by == "category" else {}), "k": sample.k, "seed": sample.seed}
        return pairs, about, ()

    def _progress(self, queries: Sequence[Any]) -> Iterable[Any]:
        bar: Iterable[Any] = tqdm(queries, desc="searching", unit="image", file=self.stderr, disable=None)
        return bar

    def _remove(self, index: VisualIndex, source: ImageSource, options: dict[str, Any]) -> None:
        if not options["dry_run"]:
            _store(index, source, None)
        in_use = calibration_in_use(None, index.fingerprint)
        if options["json"]:
            answer = {"source": index.source, "version": index.pk, "in_use": in_use, "saved": not options["dry_run"]}
            self.stdout.write(json.dumps(answer, indent=2))
            return
        bundled = in_use == "bundled"
        then = "the calibration of its weights" if bundled else "no calibration, so results have no score"
        verb = "would have" if options["dry_run"] else "has"
        self.stdout.write(f"{index.source}: version {index.pk} {verb} {then}.")


def _store(index: VisualIndex, source: ImageSource, calibration: dict[str, Any] | None) -> None:
    """In the active version, and in one that is being built with the same weights and will replace it."""
    VisualIndex.objects.of(source).live().filter(fingerprint=index.fingerprint).update(calibration=calibration)


def _as_dict(result: Result, *, saved: bool) -> dict[str, Any]:
    return {
        "source": result.index.source,
        "version": result.index.pk,
        "pairs": len(result.pairs),
        "same": int(result.pairs.same.sum()),
        "left_out": list(result.left_out),
        "log_loss": result.fitted.log_losses,
        "before": {"in_use": result.in_use, **asdict(result.before)},
        "after": asdict(result.after),
        "calibration": result.fitted.calibration.as_dict(),
        "saved": saved,
    }


def _lines(result: Result, *, saved: bool) -> list[str]:
    calibration, pairs = result.fitted.calibration, result.pairs
    method = calibration.curve.method
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in sorted(result.fitted.log_losses.items()))
    return [
        f"{result.index.source}: version {result.index.pk}, {len(pairs)} pairs of {calibration.fitted['queries']} "
        f"queries, {int(pairs.same.sum())} of the same kind.",
        *_left_out(result.left_out),
        f"Log loss on held-out queries: {losses}; {method} is taken.",
        "",
        f"Before ({BEFORE[result.in_use]}):",
        *_table(result.before),
        "After (each query by a curve fitted without it):",
        *_table(result.after),
        "Distance up to which results have a score of at least "
        + ", ".join(_reach(calibration.distance_for(score), score) for score in (90, 75, 50, 25))
        + ".",
        "Stored; searches use it from now on." if saved else "Nothing is stored (--dry-run).",
    ]


def _left_out(keys: Sequence[str]) -> list[str]:
    if not keys:
        return []
    named = ", ".join(keys[:NAMED_AT_MOST]) + (", ..." if len(keys) > NAMED_AT_MOST else "")
    return [f"Left out, since the index has no vector of them: {len(keys)} ({named})."]


def _reach(distance: float | None, score: int) -> str:
    return f"{score}: {'none' if distance is None else f'{distance:.3f}'}"


def _table(found: Reliability) -> list[str]:
    """What was predicted and what was so, by tenths; a calibration that holds has the same in both columns."""
    lines = [f"  {'score':>10}  {'predicted':>9}  {'observed':>8}  {'pairs':>6}"]
    for part in found.bins:
        score = f"{100 * part.low:.0f} to {100 * part.high:.0f}"
        lines.append(f"  {score:>10}  {100 * part.predicted:9.1f}  {100 * part.observed:8.1f}  {part.pairs:6d}")
    lines.append(
        f"  expected calibration error {100 * found.ece:.1f} points, Brier score {found.brier:.4f}, "
        f"log loss {found.log_loss:.4f}"
    )
    return lines
