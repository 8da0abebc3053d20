"""Searches of a small and a large gallery: by product, by photo, under filters; time, recall and plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from django.core.management import call_command
from django.db import connection

from benchmarks.gallery import Vectors, cached_vectors, fill
from benchmarks.gallery import pictures as gallery_pictures
from benchmarks.stage import milliseconds, percentile, say
from catalog.models import Product
from visualsearch import search_by_image, similar_to
from visualsearch.conf import conf
from visualsearch.encoders import get_encoder
from visualsearch.models import VisualIndex
from visualsearch.search import Results
from visualsearch.sources import get_source
from visualsearch.stores import get_store
from visualsearch.stores.nearest import Nearest
from visualsearch.stores.pgvector import hnsw_name

SIZES, QUICK_SIZES = (10_000, 90_000), (1000, 1200)
QUERIES, QUICK_QUERIES = 100, 5
LIMIT = 10
# Prices are n % 1000, so that these keep a tenth and a hundredth of the products, whatever they look like.
FILTERS: dict[str, dict[str, Any]] = {
    "product": {},
    "filtered_10pct": {"price_min": 900},
    "filtered_1pct": {"price_min": 990},
}
# A tie at the tenth place is no miss: PostgreSQL adds up in another order than numpy.
TOLERANCE = 1e-5


def measure(*, quick: bool) -> dict[str, Any]:
    sizes = QUICK_SIZES if quick else SIZES
    say(f"{sizes[-1]} embeddings")
    vectors = cached_vectors(get_encoder(), sizes[-1], quick=quick)
    # The smaller gallery is the beginning of the larger one.
    galleries = [gallery(vectors[:size], quick=quick) for size in sizes]
    largest = galleries[-1]
    return {
        "recall_at_10": min(found["recall_at_10"] for found in galleries),
        "product_p50_ms": largest["product_p50_ms"],
        "photo_p50_ms": largest["photo_p50_ms"],
        "filtered_1pct_p50_ms": largest["filtered_1pct_p50_ms"],
        "filtered_1pct_rows": min(found["filtered_1pct_rows"] for found in galleries),
        "galleries": galleries,
    }


def gallery(vectors: Vectors, *, quick: bool) -> dict[str, Any]:
    """Fills the tables, searches them, and empties them again."""
    encoder, source, size = get_encoder(), get_source("product"), len(vectors)
    say(f"{size} rows and their graph")
    start = time.perf_counter()
    index = fill(source, encoder, conf.ENCODER, vectors)
    filled = time.perf_counter() - start
    try:
        say(f"{size}: searches")
        found = searches(index, vectors, QUICK_QUERIES if quick else QUERIES)
        return {"vectors": size, "fill_s": round(filled, 1), "index_mb": index_megabytes(index)} | found
    finally:
        get_store().drop(index)
        call_command("flush", verbosity=0, interactive=False)


def searches(index: VisualIndex, vectors: Vectors, count: int) -> dict[str, Any]:
    """Kinds of search take turns, so that what else the machine does falls on all of them."""
    first = Product.objects.order_by("pk").values_list("pk", flat=True)[0]
    numbers = np.linspace(0, len(vectors) - 1, count).astype(int).tolist()
    truth = Truth(vectors)
    photos = gallery_pictures()
    seconds: dict[str, list[float]] = {name: [] for name in (*FILTERS, "photo")}
    recall: dict[str, list[float]] = {name: [] for name in FILTERS}
    fewest = dict.fromkeys(FILTERS, LIMIT)
    for warm, number in [(False, numbers[0]), *((True, number) for number in numbers)]:
        product = Product.objects.get(pk=first + number)
        photo = photos[number % len(photos)].read_bytes()
        took, _ = timed(lambda photo=photo: search_by_image(photo, LIMIT))
        seconds["photo"] += [took] * warm
        for name, filters in FILTERS.items():
            took, page = timed(lambda p=product, f=filters: similar_to(p, LIMIT, f or None))
            seconds[name] += [took] * warm
            recall[name].append(truth.recall(number, [match.product.pk - first for match in page], filters))
            fewest[name] = min(fewest[name], len(page))
    product = Product.objects.get(pk=first + numbers[0])
    found: dict[str, Any] = {"recall_at_10": round(float(np.mean(recall["product"])), 4)}
    for name in seconds:
        found[f"{name}_p50_ms"] = milliseconds(percentile(seconds[name], 50))
        found[f"{name}_p95_ms"] = milliseconds(percentile(seconds[name], 95))
    for name, filters in FILTERS.items():
        found[f"{name}_rows"] = fewest[name]
        found[f"{name}_recall"] = round(float(np.mean(recall[name])), 4)
        found[f"{name}_plan"] = plan(index, product, vectors[numbers[0]], filters)
    return found


def timed(call: Callable[[], Results]) -> tuple[float, Results]:
    start = time.perf_counter()
    page = call()
    return time.perf_counter() - start, page


class Truth:
    """Exact search in numpy over the half-precision vectors that the index holds."""

    def __init__(self, vectors: Vectors) -> None:
        half = vectors.astype(np.float16).astype(np.float32)
        self.unit = half / np.linalg.norm(half, axis=1, keepdims=True)
        self.price = np.arange(len(vectors)) % 1000

    def recall(self, number: int, found: list[int], filters: dict[str, Any]) -> float:
        """The share of the page that belongs there: as near as the last of the true page."""
        scores = self.unit @ self.unit[number]
        scores[number] = -np.inf
        scores[self.price < filters.get("price_min", 0)] = -np.inf
        possible = min(LIMIT, int(np.isfinite(scores).sum()))
        last = np.partition(scores, -possible)[-possible]
        return sum(scores[place] >= last - TOLERANCE for place in found) / possible


def plan(index: VisualIndex, product: Product, vector: Any, filters: dict[str, Any]) -> str:
    """How PostgreSQL looked for the page: "hnsw" or "exact"; with "+exact" where the graph did not fill it."""
    source = get_source("product")
    eligible = source.eligible_images(filters).exclude(product=product.pk)
    query = Nearest(index, vector.tolist(), eligible, LIMIT, distinct="product")
    lines = query.by_graph().explained(analyze=True)
    near = lines[lines.index("CTE near") : lines.index("CTE page")]
    way = "hnsw" if hnsw_name(index) in near else "exact"
    return way if "(never executed)" in lines[lines.rindex("Limit") :] else f"{way}+exact"


def index_megabytes(index: VisualIndex) -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(to_regclass(%s)) / 1048576.0", [hnsw_name(index)])
        return round(float(cursor.fetchone()[0]), 1)
