"""What a trial found, in words for people and as one object for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from visualsearch.evaluation.bootstrap import Comparison, Verdict
from visualsearch.evaluation.trial import Trial

SHOWN = 8  # lines of a list
COVERAGES = tuple(share / 10 for share in range(1, 11))
TITLE = "{:<34}{:>8}   {}"


def title(name: str, k: int) -> str:
    """A measure's name in words."""
    return {
        "p_at_1": "P@1",
        f"p_at_{k}": f"P@{k}",
        f"map_at_{k}": f"mAP@{k}, over those retrieved",
        f"map_at_{k}_relevant": f"mAP@{k}, over min({k}, relevant)",
        f"hit_at_{k}": f"hit@{k}",
        f"recall_at_{k}": f"recall@{k}",
        "mrr": "MRR",
    }[name]


def as_dict(trial: Trial) -> dict[str, Any]:
    """One object: every measure by name, then their intervals and everything else.

    ``map_at_k`` is over those retrieved, ``map_at_k_relevant`` over min(k, number relevant).
    """
    figures = trial.figures()
    curve = trial.curve()
    points = [curve.at(coverage) for coverage in COVERAGES]
    found: dict[str, Any] = {
        **{name: round(figure.value, 6) for name, figure in figures.items()},
        "queries": len(trial.queries),
        "gallery": len(trial.gallery),
        "k": trial.k,
        "encoder": trial.contestant.name,
        "weights": trial.contestant.weights,
        "fingerprint": trial.contestant.fingerprint,
        "intervals": {name: [round(each.low, 6), round(each.high, 6)] for name, each in figures.items()},
        "ms_per_image": _rounded(trial.milliseconds),
        "encoder_ms_per_image": _rounded(trial.encoding),
        "precision_by_coverage": [
            {
                "coverage": round(float(curve.coverage[place]), 4),
                "score": round(float(curve.score[place]), 4),
                "precision": round(float(curve.precision[place]), 4),
            }
            for place in points
        ],
        "unreadable": [asdict(each) for each in trial.unreadable],
        "notes": trial.notes,
    }
    if trial.labelled:
        means = trial.classes().items()
        found["classes"] = [
            {"class": name, "p_at_1": round(mean, 4), "queries": count} for name, (mean, count) in means
        ]
        found["confusions"] = [asdict(each) for each in trial.confusions()]
    return found


def comparison_dict(first: Trial, second: Trial, compared: Mapping[str, Comparison]) -> dict[str, Any]:
    """The second against the first."""
    measures = {
        name: {
            "verdict": str(each.verdict),
            "difference": round(each.difference.value, 6),
            "interval": [round(each.difference.low, 6), round(each.difference.high, 6)],
            "different_queries": each.different,
        }
        for name, each in compared.items()
    }
    headline = compared["p_at_1"]
    return {"sentence": sentence(first, second, headline), "queries": headline.queries, "measures": measures}


def lines(trial: Trial) -> Iterator[str]:
    """A trial in words."""
    yield f"{trial.contestant}, fingerprint {trial.contestant.fingerprint[:12]}"
    classes = f" in {len(trial.classes()):,} classes" if trial.labelled else ""
    yield f"{len(trial.queries):,} queries{classes} against {len(trial.gallery):,} pictures"
    yield ""
    yield TITLE.format("", "value", "95% interval").rstrip()
    for name, figure in trial.figures().items():
        yield TITLE.format(title(name, trial.k), f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}")
    yield ""
    yield _speed(trial)
    if trial.labelled:
        yield from _classes(trial)
    if trial.unreadable:
        are = "picture cannot be read and is" if len(trial.unreadable) == 1 else "pictures cannot be read and are"
        yield from ["", f"{len(trial.unreadable):,} {are} left out:"]
        yield from _listed([f"{each.name}: {each.reason} ({each.code})" for each in trial.unreadable])
    if trial.notes:
        yield ""
        yield from trial.notes


def comparison_lines(first: Trial, second: Trial, compared: Mapping[str, Comparison]) -> Iterator[str]:
    """The second against the first, measure by measure, and in one sentence."""
    row = "{:<34}{:>8}{:>8}{:>12}   {:<20}{}"
    yield row.format("", "first", "second", "difference", "95% interval", "").rstrip()
    for name, each in compared.items():
        apart = each.difference
        values = [f"{each.before:.3f}", f"{each.after:.3f}", f"{apart.value:+.3f}"]
        yield row.format(title(name, first.k), *values, f"{apart.low:+.3f} to {apart.high:+.3f}", each.verdict)
    if not math.isnan(first.encoding + second.encoding):
        speeds = [f"{first.encoding:.1f}", f"{second.encoding:.1f}"]
        yield row.format("ms an image, the encoder alone", *speeds, "", "", "").rstrip()
    yield ""
    yield sentence(first, second, compared["p_at_1"])


def sentence(first: Trial, second: Trial, compared: Comparison) -> str:
    """Better, worse, or no difference shown, by P@1."""
    apart, queries = compared.difference, f"over the same {compared.queries:,} queries"
    between = f"{apart.low:+.3f} to {apart.high:+.3f}"
    if compared.verdict is Verdict.NO_DIFFERENCE:
        return (
            f"No difference shown between {second.contestant} and {first.contestant}: P@1 {compared.after:.3f} and "
            f"{compared.before:.3f}, {apart.value:+.3f} with a 95% interval of {between}, {queries}."
        )
    return (
        f"{second.contestant} is {compared.verdict} than {first.contestant}: P@1 {compared.after:.3f} against "
        f"{compared.before:.3f}, {apart.value:+.3f} with a 95% interval of {between}, {queries}."
    )


def _speed(trial: Trial) -> str:
    if math.isnan(trial.milliseconds):
        return "The vectors were those of the index; no picture was read."
    return f"{trial.milliseconds:.1f} ms an image read, decoded and encoded; {trial.encoding:.1f} ms the encoder alone."


def _classes(trial: Trial) -> Iterator[str]:
    worst, confusions = trial.classes(), trial.confusions()
    if len(worst) > 1:
        yield from ["", "Worst classes, by P@1"]
        yield from _listed([f"{mean:.3f}  {name} ({count:,} queries)" for name, (mean, count) in worst.items()])
    if confusions:
        yield from ["", "Confusions: what stands first in another's place"]
        yield from _listed(
            [f"{each.count:>5}  {each.wanted} -> {each.found} (of {each.queries:,})" for each in confusions]
        )


def _listed(entries: Sequence[str]) -> Iterator[str]:
    yield from (f"  {entry}" for entry in entries[:SHOWN])
    if len(entries) > SHOWN:
        yield f"  and {len(entries) - SHOWN:,} more; --json lists all of them"


def _rounded(milliseconds: float) -> float | None:
    return None if math.isnan(milliseconds) else round(milliseconds, 2)
