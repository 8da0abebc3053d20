"""From commit to searchable, with a real queue cluster."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile

from benchmarks.stage import CannotMeasure, percentile, pictures, say, worker
from catalog.models import Category, Product, ProductImage
from visualsearch import search_by_image, similar_to

COUNT, QUICK = 60, 3
POLL = 0.01  # seconds between two looks
PATIENCE = 120  # seconds


def measure(*, quick: bool) -> dict[str, Any]:
    """Saves one product after the other; each is waited for, and then searched by its photo."""
    count = QUICK if quick else COUNT
    contents = [path.read_bytes() for path in pictures("clothing/test")][: count + 2]
    category = Category.objects.create(name="Goods", slug="goods")
    pauses = random.Random(1)
    seconds, firsts = [], 0
    with worker(Path(settings.MEDIA_ROOT).parent / "worker.log"):
        say("waiting for the worker")
        for number, content in enumerate(contents):
            product = Product.objects.create(title=f"{number}", sku=f"{number}", price=number, category=category)
            ProductImage.objects.create(product=product, image=ContentFile(content, f"{number}.jpg"))
            took = waited(partial(found, product, content, alone=number == 0))
            if number >= 2:  # the first ones waited for the worker to start and to load its model
                seconds.append(took)
                firsts += search_by_image(content, 1)[0].product == product
            time.sleep(pauses.uniform(0, 0.3))  # so that saves fall anywhere between two looks of the worker
    return {
        "images": len(seconds),
        "p50_s": round(percentile(seconds, 50), 3),
        "p95_s": round(percentile(seconds, 95), 3),
        "max_s": round(max(seconds), 3),
        "found_first_by_photo": round(firsts / len(seconds), 3),
        "queue_poll_s": settings.Q_CLUSTER["poll"],
    }


def found(product: Product, content: bytes, *, alone: bool) -> bool:
    """Whether the product can be searched with; alone in the shop it has no neighbours, so its photo is the query."""
    return bool(search_by_image(content, 1) if alone else similar_to(product, 1))


def waited(condition: Callable[[], bool]) -> float:
    """Seconds until it is true, from now, which is right after the commit."""
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > PATIENCE:
            raise CannotMeasure(f"An image was not searchable after {PATIENCE} s.")
        time.sleep(POLL)
    return time.perf_counter() - start
