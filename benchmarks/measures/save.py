"""What a save costs with the app and without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.core.files.base import ContentFile
from django.db.models.signals import post_save

from benchmarks.stage import milliseconds, percentile, pictures
from catalog.models import Category, Product, ProductImage
from visualsearch import handlers, tasks
from visualsearch.sources import get_source

COUNT, QUICK = 300, 10
Times = dict[str, list[float]]


def measure(*, quick: bool) -> dict[str, Any]:
    """Saves with and without, in pairs that take turns in going first; and the two parts of the difference alone."""
    contents = [path.read_bytes() for path in pictures("clothing/test")[:50]]
    category = Category.objects.create(name="Goods", slug="goods")
    product = Product.objects.create(title="Goods", sku="1", price=1, category=category)
    times: Times = {name: [] for name in ("new_with", "new_without", "same_with", "same_without", "signal", "enqueue")}
    for number in range(-5, QUICK if quick else COUNT):  # the first ones warm up
        round_ = one_round(product, contents[number % len(contents)], first="with" if number % 2 else "without")
        for name, seconds in round_.items():
            if number >= 0:
                times[name].append(seconds)
    return figures(times)


def one_round(product: Product, content: bytes, first: str) -> dict[str, float]:
    found = {}
    for variant in (first, "without" if first == "with" else "with"):
        connected(variant == "with")
        image = ProductImage(product=product, image=ContentFile(content, "photo.jpg"))
        found[f"new_{variant}"] = timed(image.save)
        found[f"same_{variant}"] = timed(image.save)
    found["signal"] = timed(lambda: list(handlers.sources.sources_of_model(ProductImage)))
    found["enqueue"] = timed(lambda: tasks.enqueue_images("product", [image.pk]))
    return found


def connected(wanted: bool) -> None:
    """Connects or disconnects the app's receiver of saves: without it, a save is the shop's own and nothing else."""
    if wanted:
        handlers.follow(source=get_source("product"))
    else:
        post_save.disconnect(sender=ProductImage, dispatch_uid="visualsearch")


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def figures(times: Times) -> dict[str, Any]:
    def added(kind: str, percent: float) -> float:
        return milliseconds(percentile(times[f"{kind}_with"], percent) - percentile(times[f"{kind}_without"], percent))

    return {
        "saves": len(times["new_with"]),
        "save_without_ms_p50": milliseconds(percentile(times["new_without"], 50)),
        "save_with_ms_p50": milliseconds(percentile(times["new_with"], 50)),
        "added_ms_p50": added("new", 50),
        "added_ms_p95": added("new", 95),
        "unchanged_without_ms_p50": milliseconds(percentile(times["same_without"], 50)),
        "unchanged_with_ms_p50": milliseconds(percentile(times["same_with"], 50)),
        "unchanged_added_ms_p50": added("same", 50),
        "unchanged_added_ms_p95": added("same", 95),
        "signal_ms_p50": milliseconds(percentile(times["signal"], 50)),
        "enqueue_ms_p50": milliseconds(percentile(times["enqueue"], 50)),
        "enqueue_ms_p95": milliseconds(percentile(times["enqueue"], 95)),
    }
