"""Ten clients search without pause while a version is built, activated and rolled back, and what they are answered."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from django.conf import settings
from django.db import connection
from PIL import Image

from benchmarks.commands import elsewhere, here
from benchmarks.stage import milliseconds, percentile, pictures, say
from catalog.models import Category, Product, ProductImage
from visualsearch import lifecycle, similar_to
from visualsearch.conf import conf
from visualsearch.models import VisualIndex
from visualsearch.sources import get_source

CLIENTS, QUICK_CLIENTS = 10, 2
LIMIT = 10
IMAGES, QUICK_IMAGES = 1000, 12
QUIET, QUICK_QUIET = 10.0, 0.3  # seconds of searching before, between and after
RATE = 20  # images a second that the build may take
NEW = "mobilenet_v2_compact"  # the shop goes over to the encoder whose weights are in the package

Page = tuple[Any, ...]


class Answer(NamedTuple):
    """``phase`` is what the shop did when the search began; ``page`` the images and distances, or None for an error."""

    phase: str
    product: int
    seconds: float
    page: Page | None


class Clients:
    """Threads that search by product until they are told to stop."""

    def __init__(self, products: Sequence[Product], count: int) -> None:
        self.products, self.phase, self.over = products, "before", False
        self.answers: list[Answer] = []
        self.threads = [threading.Thread(target=self._search, args=[number]) for number in range(count)]

    def _search(self, seed: int) -> None:
        chosen = np.random.default_rng(seed)
        while not self.over:
            number, phase, start = int(chosen.integers(len(self.products))), self.phase, time.perf_counter()
            try:
                found: Page | None = page(self.products[number])
            except Exception:
                found = None
            self.answers.append(Answer(phase, number, time.perf_counter() - start, found))
        connection.close()


def measure(*, quick: bool) -> dict[str, Any]:
    """The old version is indexed here, the new one is built by the command, in a process of its own."""
    products = saved(pictures("clothing/train")[: QUICK_IMAGES if quick else IMAGES])
    source = get_source("product")
    say(f"{len(products)} images, first version")
    lifecycle.build(first := lifecycle.begin(source), source, chunk=conf.CHUNK)
    lifecycle.activate(source, first, sample=1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    old = [page(product) for product in products]
    clients = Clients(products, count := QUICK_CLIENTS if quick else CLIENTS)
    for thread in clients.threads:
        thread.start()
    try:
        seconds = changed(clients, quick)
    finally:
        clients.over = True
        for thread in clients.threads:
            thread.join()
    lifecycle.rollback(source)  # forth again, to see what the new version answers
    new = [page(product) for product in products]
    return figures(clients.answers, old, new, seconds) | {"images": len(products), "clients": count, "rate": RATE}


def changed(clients: Clients, quick: bool) -> dict[str, float]:
    """Seconds that each change of the shop took."""
    quiet, encoder = (QUICK_QUIET, conf.ENCODER) if quick else (QUIET, NEW)
    seconds = {}
    time.sleep(quiet)
    for phase, command in (
        ("build", ["build", "--sync", "--encoder", encoder, "--rate", str(RATE)]),
        ("activate", ["activate", str(VisualIndex.objects.latest("pk").pk + 1)]),
        ("rollback", ["rollback"]),
    ):
        say(phase)
        clients.phase, start = phase, time.perf_counter()
        printed = json.loads((here if quick else elsewhere)("visualsearch_index", *command, "--json"))
        seconds[phase] = time.perf_counter() - start
        say(json.dumps({name: value for name, value in printed.items() if not isinstance(value, dict)}))
        clients.phase = f"after_{phase}"
        time.sleep(quiet)
    return seconds


def page(product: Product) -> Page:
    return tuple((match.image.pk, match.distance) for match in similar_to(product, LIMIT))


def saved(paths: Sequence[Path]) -> list[Product]:
    """A product with one image for each file, past the signals."""
    folder = Path(settings.MEDIA_ROOT) / "products"
    folder.mkdir(parents=True)
    category = Category.objects.create(name="Goods", slug="goods")
    products = Product.objects.bulk_create(
        Product(title=f"Product {n}", sku=str(n), price=1, stock=1, category=category) for n in range(len(paths))
    )
    images = []
    for number, (path, product) in enumerate(zip(paths, products, strict=True)):
        shutil.copyfile(path, folder / f"{number}.jpg")
        with Image.open(path) as picture:
            width, height = picture.size
        images.append(ProductImage(product=product, image=f"products/{number}.jpg", width=width, height=height))
    ProductImage.objects.bulk_create(images)
    return products


def figures(
    answers: Sequence[Answer], old: Sequence[Page], new: Sequence[Page], seconds: dict[str, float]
) -> dict[str, Any]:
    """Times of each phase, and answers that are neither the one version's page nor the other's."""
    found = [answer for answer in answers if answer.page is not None]
    mixed = [one for one in found if one.page and one.page not in (old[one.product], new[one.product])]
    phases = []
    before = percentile([answer.seconds for answer in found if answer.phase == "before"], 95)
    for phase in dict.fromkeys(answer.phase for answer in found):
        took = [answer.seconds for answer in found if answer.phase == phase]
        phases.append(
            {
                "phase": phase,
                "searches": len(took),
                "p50_ms": milliseconds(percentile(took, 50)),
                "p95_ms": milliseconds(percentile(took, 95)),
                "p95_vs_before": round(percentile(took, 95) / before, 2),
                "seconds": round(seconds[phase], 1) if phase in seconds else None,
            }
        )
    return {
        "searches": len(answers),
        "errors": len(answers) - len(found),
        "empty": sum(not answer.page for answer in found),
        "mixed": len(mixed),
        "pages_that_differ": round(float(np.mean([one != other for one, other in zip(old, new, strict=True)])), 3),
        "p95_worst_vs_before": max(phase["p95_vs_before"] for phase in phases),
        "phases": phases,
    }
