"""What a run leaves behind beside its weights: its record, its figures and a model card."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visualsearch.evaluation.measures import agreement, by_class, figures, rank

from .data import overlap
from .distil import STUDENT_WEIGHTS, Distillation
from .evaluate import embed, labelled

if TYPE_CHECKING:
    from .data import Pictures
    from .options import Options
    from .teachers import Teacher

RECORD, FIGURES, CARD = "run.json", "figures.json", "MODEL_CARD.md"
__all__ = ["STUDENT_WEIGHTS", "judge", "write"]


def write(options: Options, run: Distillation, teacher: Teacher, pictures: Pictures) -> None:
    """Write run.json: all that it takes to train the same weights again."""
    stored = {
        "teacher": teacher.name,
        "teacher_fingerprint": teacher.fingerprint,
        "alpha": run.identity.get("alpha"),
        "seed": options.seed,
        "images": [str(folder) for folder in options.images],
        "pictures": len(pictures.arrays),
        "unreadable": [str(path) for path, _ in pictures.unreadable],
        "batch_size": options.batch_size,
        "schedule": asdict(run.plan),
        "minutes": options.minutes,
        "steps": run.state.step,
        "crops": run.state.crops,
        "trained_seconds": round(run.state.trained_seconds),
        "versions": {name: version(name) for name in ("keras", "numpy", "pillow")},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "command": " ".join(["visualsearch_distil", *sys.argv[1:]]),
    }
    (options.out / RECORD).write_text(json.dumps(stored, indent=2) + "\n")


def judge(
    out: Path, queries: Path, gallery: Path, student: Any, teacher: Teacher, report: Callable[[str], None]
) -> dict[str, Any]:
    """Measure student and teacher on class folders; writes figures.json and a draft of the model card."""
    asked, searched = labelled(queries), labelled(gallery)
    for path, reason in [*asked.unreadable, *searched.unreadable]:
        report(f"  left out: {path} ({reason})")
    measured: dict[str, Any] = {"queries": len(asked.labels), "gallery": len(searched.labels)}
    trained_on = [Path(folder) for folder in json.loads((out / RECORD).read_text())["images"]]
    measured["gallery_trained_on"] = any(overlap(folder, gallery) for folder in trained_on)
    embedded = {}
    for name, model in (("student", student), ("teacher", teacher.model)):
        embedded[name] = embed(model, asked.pixels)
        ranking = rank(embedded[name], embed(model, searched.pixels), by_class(asked.labels, searched.labels))
        found = figures(ranking)
        measured[name] = {key: asdict(figure) for key, figure in found.items()}
        report(f"{name}: " + ", ".join(f"{key} {figure}" for key, figure in found.items()))
    if embedded["student"].shape == embedded["teacher"].shape:
        cosine = agreement(embedded["student"], embedded["teacher"])
        measured["cosine_to_teacher"] = asdict(cosine)
        report(f"cosine to the teacher on the queries: {cosine}")
    (out / FIGURES).write_text(json.dumps(measured, indent=2) + "\n")
    run = json.loads((out / RECORD).read_text())
    (out / CARD).write_text(card(run, measured))
    return measured


def _row(name: str, figures: dict[str, dict[str, float]]) -> str:
    shown = [figures[key] for key in ("p_at_1", "p_at_10", "map_at_10", "hit_at_10")]
    cells = [f"{f['value']:.3f} ({f['low']:.3f} to {f['high']:.3f})" for f in shown]
    return f"| {name} | " + " | ".join(cells) + " |"


def _seen(measured: dict[str, Any]) -> str:
    seen = " The gallery's pictures were among the training pictures, without their classes."
    return "No query was trained on." + (seen if measured.get("gallery_trained_on") else "")


def card(run: dict[str, Any], measured: dict[str, Any]) -> str:
    """A draft of the model card in Markdown, from run.json and figures.json."""
    crops = ", ".join(f"{count:,} {part}" for part, count in run["crops"].items())
    folders = ", ".join(f"`{Path(folder).parent.name}/{Path(folder).name}`" for folder in run["images"])
    cosine = measured.get("cosine_to_teacher")
    agreed = f"{cosine['value']:.3f} ({cosine['low']:.3f} to {cosine['high']:.3f})" if cosine else "not comparable"
    return f"""# Model card: MobileNetV2, width {run["alpha"]}

Pixels in [-1, 1], 224 px, global average pooling, 1280 numbers; for nearest-neighbour search by cosine.

- **Teacher**: `{run["teacher"]}` (sha256 `{run["teacher_fingerprint"]}`). None of its weights were copied.
- **Start**: random weights, seed {run["seed"]}; each normalisation's mean and variance set once from one batch.
- **Pictures**: {run["pictures"]:,}, unlabelled, from {folders}; a folder named twice counts twice.
- **Recipe**: `visualsearch_distil`; crops seen: {crops}; {run["trained_seconds"] / 60:.0f} minutes on {run["machine"]}.
- **Command**: `{run["command"]}`. The schedule follows the clock unless `--steps` is given: only a run
  of `--steps` gives the same weights again.

## Figures

{measured["queries"]} queries against {measured["gallery"]} pictures, whole pictures at 224 px, a hit is the same class,
95% bootstrap intervals over queries. mAP@10 averages over the hits retrieved. {_seen(measured)}

| embedding | P@1 | P@10 | mAP@10 | hit@10 |
| --- | --- | --- | --- | --- |
{_row("student", measured["student"])}
{_row("teacher", measured["teacher"])}

Mean cosine to the teacher on the queries: {agreed}.

## Licence

To be written before the weights are shared: the licences of the teacher's weights and of each folder of pictures. No
weight of the teacher and no picture is part of the file.

## Limits

- It imitates its teacher on the kind of pictures named above; on other goods nothing was measured.
- Similarity is of looks, not of make, size or material.
- Figures hold for whole pictures at 224 px; small goods in busy photos should be cropped first.
"""
