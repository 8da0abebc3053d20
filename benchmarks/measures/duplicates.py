"""Near-duplicates among many products: by the index, and by comparing every picture with every other one."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gallery import Vectors, cached_vectors, fill
from benchmarks.stage import say
from visualsearch import duplicates
from visualsearch.conf import conf
from visualsearch.encoders import get_encoder
from visualsearch.models import DuplicateSearch
from visualsearch.sources import get_source

IMAGES, QUICK_IMAGES = 10_000, 200
TURNS = 10  # parts of the catalogue that both ways go through in turns
# Half-precision numbers add up in another order in PostgreSQL: pairs so near the threshold are not counted as missed.
TOLERANCE = 1e-4

Pairs = set[tuple[int, int]]


def measure(*, quick: bool) -> dict[str, Any]:
    count = QUICK_IMAGES if quick else IMAGES
    encoder, source = get_encoder(), get_source("product")
    say(f"{count} embeddings")
    vectors = cached_vectors(encoder, count, quick=quick)
    say(f"{count} rows and their graph")
    fill(source, encoder, conf.ENCODER, vectors)
    say("threshold")
    start = time.perf_counter()
    found = duplicates.begin(source)
    threshold_s = time.perf_counter() - start
    say("search")
    index_s, exact_s, exact, added_mb = in_turns(found, vectors)
    sure = {pair for pair, distance in exact.items() if distance <= found.within - TOLERANCE}
    possible = {pair for pair, distance in exact.items() if distance <= found.within + TOLERANCE}
    held = pairs_of(found)
    return {
        "images": count,
        "within": round(found.within, 5),
        "seconds": round(threshold_s + index_s, 1),
        "threshold_s": round(threshold_s, 1),
        "images_per_s": round(count / index_s, 1),
        "exact_s": round(exact_s, 1),
        "vs_exact": round(index_s / exact_s, 2),
        "pairs": len(held),
        "exact_pairs": len(sure),
        "recall": round(len(sure & held) / len(sure), 4) if sure else None,
        "wrong": len(held - possible),
        "added_mb": round(added_mb, 1),
    }


def in_turns(found: DuplicateSearch, vectors: Vectors) -> tuple[float, float, dict[tuple[int, int], float], float]:
    """Seconds of both ways, all pairs that are near with their distance, and the memory that the index's way added."""
    half = vectors.astype(np.float16).astype(np.float32)
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    part = -(-len(vectors) // TURNS)
    index_s = exact_s = added = 0.0
    exact: dict[tuple[int, int], float] = {}
    for turn in range(TURNS):
        before, start = resident(), time.perf_counter()
        while found.images < min((turn + 1) * part, len(vectors)):
            duplicates.step(found)
        index_s += time.perf_counter() - start
        added = max(added, resident() - before)
        start = time.perf_counter()
        exact |= near(half, turn * part, part, found.within + TOLERANCE)
        exact_s += time.perf_counter() - start
    start = time.perf_counter()
    duplicates.step(found)  # the last one groups what was found
    return index_s + time.perf_counter() - start, exact_s, exact, added


def near(vectors: Vectors, start: int, count: int, within: float) -> dict[tuple[int, int], float]:
    """Pairs of which the first is in this part, each once, by comparing it with all."""
    rows: dict[tuple[int, int], float] = {}
    for first in range(start, min(start + count, len(vectors)), 250):
        distances = 1 - vectors[first : min(first + 250, start + count)] @ vectors.T
        for one, other in np.argwhere(distances <= within):
            if first + one < other:
                rows[int(first + one), int(other)] = float(distances[one, other])
    return rows


def pairs_of(found: DuplicateSearch) -> Pairs:
    """By number in the gallery."""
    keys = get_source("product").images().order_by("pk").values_list("pk", flat=True)
    numbers = {str(key): number for number, key in enumerate(keys)}
    held = found.pairs.values_list("first_image", "second_image")
    return {tuple(sorted((numbers[one], numbers[other]))) for one, other in held}  # type: ignore[misc]


def resident() -> float:
    """Memory of this process now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024**2
