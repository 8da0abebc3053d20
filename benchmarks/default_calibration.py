"""``python -m benchmarks.default_calibration``: the calibrations that come with the bundled weights, fitted and judged.

Writes ``visualsearch/encoders/weights/calibrations.json``; to be run again when weights there change.
docs/calibration.md explains what it is fitted to and why. Nothing of clothing/test is fitted to; it is judged with.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
JUDGED = Path(__file__).parent / "judged_pairs.csv"
K = 10  # results of a page
ARBITRARY = 5  # pairs of a query with arbitrary pictures, which count as one result together

if not settings.configured:
    settings.configure()

from visualsearch.calibration import (  # noqa: E402
    BUNDLED_CALIBRATIONS,
    Calibration,
    Pairs,
    fit,
    reliability,
)
from visualsearch.encoders import BUNDLED, Encoder, encoder_class  # noqa: E402
from visualsearch.encoders.base import Vectors  # noqa: E402
from visualsearch.encoders.model_file import ModelFile  # noqa: E402
from visualsearch.evaluation.measures import by_class, leave_one_out, rank  # noqa: E402
from visualsearch.images import open_image  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.default_calibration", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with clothing and catalogue")
    parser.add_argument("--output", type=Path, default=BUNDLED_CALIBRATIONS)
    parser.add_argument("--encoder", choices=list(BUNDLED), help="one alone; by default all whose weights are here")
    parser.add_argument("--sample", type=int, help="this many pictures a class: shows that it runs, nothing else")
    chosen = parser.parse_args(arguments)
    if not (chosen.data / "clothing" / "train").is_dir():
        print(f"There are no pictures in {chosen.data}.", file=sys.stderr)
        return 1
    found = {}
    for name in [chosen.encoder] if chosen.encoder else BUNDLED:
        description = getattr(encoder_class(name), "description", None)
        file = ModelFile(description, None)
        if file.is_built:
            encoder = encoder_class(name)(file)
            found[file.fingerprint] = calibrated(name, encoder, chosen.data, chosen.sample).as_dict()
    chosen.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for stored in found.values():
        print(json.dumps(stored["fitted"], indent=1))
    return 0


def calibrated(name: str, encoder: Encoder, data: Path, sample: int | None = None) -> Calibration:
    """Fitted to photos among themselves, catalogue pictures among themselves and photos against the catalogue, each
    counting a third; judged with clothing/test against clothing/train, and cosine similarity with it for comparison."""
    train, test = (folder(data / "clothing" / part, sample) for part in ("train", "test"))
    with JUDGED.open(encoding="utf-8") as file:
        judgements = list(csv.DictReader(file))
    if sample:
        judgements = judgements[:60] + judgements[-60:]
    named = sorted({row[column] for row in judgements for column in ("query", "result")})
    vectors = embedded(encoder, [*train, *test, *(data / path for path in named)], name)
    gallery, queries = vectors[: len(train)], vectors[len(train) : len(train) + len(test)]
    known = dict(zip(named, vectors[len(train) + len(test) :], strict=True))
    photos = shown(gallery, kinds(train))
    parts = {
        "clothing/train, leave one out": even(photos, kinds(train)),
        "catalogue, judged": of_judgements(judgements, known, "catalogue/"),
        "clothing/train against catalogue, judged": of_judgements(judgements, known, "clothing/"),
    }
    together = Pairs.of([])
    for pairs in parts.values():
        together = together + weighing(pairs, 1 / len(parts))
    calibration = fit(
        together, {"encoder": name, "on": {part: len(pairs) for part, pairs in parts.items()}}
    ).calibration
    judging = even(shown(gallery, kinds(train), queries, kinds(test)), kinds(test))
    similarity = (1 - judging.distances).clip(0, 1)
    judged = {
        "on": "clothing/test against clothing/train, each class alike",
        "pairs": len(judging),
        **rounded(asdict(reliability(calibration.probability(judging.distances), judging))),
        "cosine": rounded(asdict(replace(reliability(similarity, judging), bins=()))),
    }
    return Calibration(calibration.curve, {**calibration.fitted, "judged": judged})


def folder(path: Path, sample: int | None) -> list[Path]:
    """Pictures of class sub-folders."""
    return [picture for kind in sorted(path.iterdir()) for picture in sorted(kind.glob("*.jpg"))[:sample]]


def kinds(paths: Iterable[Path]) -> list[str]:
    return [path.parent.name for path in paths]


def embedded(encoder: Encoder, paths: Sequence[Path], label: str, step: int = 64) -> Vectors:
    """Unit rows (n, dimensions), as indexing makes them."""
    rows = [
        encoder.encode([encoder.prepare(open_image(path.read_bytes())) for path in paths[start : start + step]])
        for start in tqdm(range(0, len(paths), step), desc=label, disable=None)
    ]
    return np.concatenate(rows)


def shown(
    gallery: Vectors, classes: Sequence[str], queries: Vectors | None = None, query_classes: Sequence[str] = ()
) -> Pairs:
    """The K nearest of each query, and arbitrary pictures that count as one more result. Without queries: of each
    picture against the others."""
    rng = np.random.default_rng(0)
    alone = queries is None
    asking, names = (gallery, classes) if queries is None else (queries, query_classes)
    found = rank(asking, gallery, leave_one_out(classes) if alone else by_class(names, classes), K)
    pairs = []
    for number, vector in enumerate(asking):
        near = zip(found.scores[number], found.hits[number], strict=True)
        pairs += [(1 - float(score), bool(hit), 1.0, number) for score, hit in near if not np.isnan(score)]
        others = [other for other in rng.integers(len(gallery), size=ARBITRARY) if not (alone and other == number)]
        pairs += [
            (1 - float(vector @ gallery[other]), names[number] == classes[other], 1 / ARBITRARY, number)
            for other in others
        ]
    return Pairs.of(pairs)


def even(pairs: Pairs, classes: Sequence[str]) -> Pairs:
    """Each class of queries counts the same, since a default cannot know a shop's mix."""
    names, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
    weights = pairs.weights / counts[codes[pairs.queries]] * len(classes) / len(names)
    return Pairs(pairs.distances, pairs.same, weights, pairs.queries)


def weighing(pairs: Pairs, share: float) -> Pairs:
    """The pairs with weights that add up to ``share`` of 10,000."""
    return Pairs(pairs.distances, pairs.same, pairs.weights * 10_000 * share / pairs.weights.sum(), pairs.queries)


def of_judgements(rows: Iterable[dict[str, str]], vectors: dict[str, Vectors], queries: str) -> Pairs:
    """Pairs judged by eye whose query's path starts so. Of a page's ten results the first, second, fourth, sixth and
    tenth were judged, so each counts for two; one arbitrary picture a query has no rank and counts once."""
    numbers: dict[str, int] = {}
    return Pairs.of(
        [
            (
                1 - float(vectors[row["query"]] @ vectors[row["result"]]),
                row["same"] == "1",
                2.0 if row["rank"] else 1.0,
                numbers.setdefault(row["query"], len(numbers)),
            )
            for row in rows
            if row["query"].startswith(queries)
        ]
    )


def rounded(value: Any) -> Any:
    """Floats with four decimals."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
