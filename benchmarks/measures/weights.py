"""Weights stored as float32, float16 and int8: size, speed, and what a search finds with them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from PIL import Image
from tqdm import tqdm

from benchmarks.contest import Contestant, Entry, contest, play
from benchmarks.stage import SHARED, WEIGHTS, CannotMeasure, build, pictures, say
from visualsearch.encoders import Vectors, encoder_class
from visualsearch.encoders.model_file import ModelFile
from visualsearch.evaluation.bootstrap import compare
from visualsearch.evaluation.measures import by_class, per_query, rank
from visualsearch.images import open_image

QUERIES, GALLERY = "clothing/test", "clothing/train"
CALIBRATION = SHARED / "data" / GALLERY  # not the queries
FORMS: dict[str, tuple[str, ...]] = {
    "float32": (),
    "float16": ("--float16",),
    "int8": ("--int8",),
    "int8, calibrated": ("--int8", "--calibrate", str(CALIBRATION)),
}
ROUNDS, QUICK = 12, 2
SECONDS = 0.12  # a turn
QUICK_PICTURES = 60  # every so many pictures

Row = dict[str, Any]


def measure(*, quick: bool) -> dict[str, Any]:
    """All forms of one model are timed in one contest; each embeds the same resized pictures."""
    queries, gallery = (pictures(folder)[:: QUICK_PICTURES if quick else 1] for folder in (QUERIES, GALLERY))
    say("pictures")
    encoder = encoder_class("mobilenet_v2")()
    with ThreadPoolExecutor(2) as pool:
        read = [
            list(pool.map(lambda path: encoder.prepare(open_image(path.read_bytes())), paths))
            for paths in (queries, gallery)
        ]
    relevance = by_class(*([path.parent.name for path in paths] for paths in (queries, gallery)))
    rows: list[Row] = []
    for name in ["mobilenet_v2_compact"] if quick else WEIGHTS:
        files = _bundled(name) if quick else _files(name)
        rows += _rows(name, files, read, relevance, quick)
    about = {"encoder": "mobilenet_v2_compact"} if quick else {}
    return about | {"queries": len(queries), "gallery": len(gallery), "forms": rows}


def _rows(
    name: str, files: dict[str, Path], read: Sequence[list[Image.Image]], relevance: Any, quick: bool
) -> list[Row]:
    """A row for each form; the first is what the others are compared with."""
    width = encoder_class(name).description.width
    entries = [Entry(form, "litert", path, width, 1) for form, path in files.items()]
    with contest(entries) as contestants:
        play(contestants, QUICK if quick else ROUNDS, SECONDS / 10 if quick else SECONDS)
    found = {form: [_embedded(name, form, path, images) for images in read] for form, path in files.items()}
    first = contestants[0]
    return [_row(one, first, found, relevance) for one in contestants]


def _row(one: Contestant, first: Contestant, found: dict[str, list[Vectors]], relevance: Any) -> Row:
    before, after = ([*found[each.entry.name]] for each in (first, one))
    measures = per_query(rank(*after, relevance))
    compared = compare(per_query(rank(*before, relevance))["p_at_1"], measures["p_at_1"])
    return {
        "width": one.entry.width,
        "form": one.entry.name,
        "mb": round(one.entry.model.stat().st_size / 1e6, 2),
        "one_ms": round(one.median(1), 2),
        "one_cpu_ms": round(one.cpu_median(1), 2),
        "times_as_fast": round(one.times_as_fast(first, 1), 2),
        "cpu_times_as_fast": round(first.cpu_median(1) / one.cpu_median(1), 2),
        "p_at_1": round(compared.after, 4),
        "p_at_1_change": round(compared.difference.value, 4),
        "p_at_1_change_low": round(compared.difference.low, 4),
        "p_at_1_change_high": round(compared.difference.high, 4),
        "map_at_10": round(float(measures["map_at_10"].mean()), 4),
        "cosine": round(float((before[0] * after[0]).sum(axis=1).mean()), 4),
    }


def _embedded(name: str, form: str, path: Path, images: Sequence[Image.Image]) -> Vectors:
    found = encoder_class(name)
    encoder = found(ModelFile(found.description, path))
    parts = range(0, len(images), 64)
    bar = tqdm(parts, desc=f"{name}, {form}", unit="x64", disable=None)
    return np.concatenate([encoder.encode(images[start : start + 64]) for start in bar])


def _bundled(name: str) -> dict[str, Path]:
    """The bundled file, and its int8 form, which needs no TensorFlow."""
    file = ModelFile(encoder_class(name).description, None)
    return {"float16": file.built_path(), "int8": _built(name, "int8", file)}


def _files(name: str) -> dict[str, Path]:
    weights = WEIGHTS[name]
    if not weights.is_file():
        raise CannotMeasure(f"There are no weights for {name}: {weights} is absent.")
    file = ModelFile(encoder_class(name).description, weights)
    return {form: _built(name, form, file) for form in FORMS}


def _built(name: str, form: str, file: ModelFile) -> Path:
    """The model in this form, built once."""
    if form == "float32":
        if not file.is_built:
            build(name, "--weights", str(file.source))
        return file.built_path()
    target = (
        Path(settings.VISUALSEARCH["MODEL_CACHE"]) / f"{name}-{file.fingerprint[:16]}-{form.replace(', ', '-')}.tflite"
    )
    if not target.is_file():
        say(f"{name}, {form}")
        build(name, "--weights", str(file.source), *FORMS[form], "--output", str(target))
    return target
