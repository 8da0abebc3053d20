"""Images a second from files on disk to rows of an index, against the encoder alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from PIL import Image

from benchmarks.stage import percentile, pictures
from catalog.models import Category, Product, ProductImage
from visualsearch import lifecycle
from visualsearch.conf import conf
from visualsearch.encoders import get_encoder
from visualsearch.images import open_image
from visualsearch.sources import ImageSource, get_source

CHUNKS, QUICK = 16, 2


def measure(*, quick: bool) -> dict[str, Any]:
    """Chunk by chunk: the encoder on pictures that are decoded, on those that have its size too, and the whole path."""
    chunk = 16 if quick else conf.CHUNK
    count = chunk * (1 + (QUICK if quick else CHUNKS))
    paths = pictures("clothing/train")[:count]
    source, encoder = get_source("product"), get_encoder()
    pks = saved_without_signals(paths)
    times: dict[str, list[float]] = {"encoder": [], "model": [], "end_to_end": []}
    for start in range(0, count, chunk):
        decoded = [open_image(path.read_bytes()) for path in paths[start : start + chunk]]
        prepared = [encoder.prepare(picture) for picture in decoded]
        times["encoder"].append(timed(lambda pictures=decoded: encoder.encode(pictures)))
        times["end_to_end"].append(timed(lambda keys=pks[start : start + chunk]: index(source, keys)))
        times["model"].append(timed(lambda pictures=prepared: encoder.encode(pictures)))
    graph = timed(lambda: lifecycle.prepare(source))
    return figures({name: seconds[1:] for name, seconds in times.items()}, chunk, graph)  # the first chunk warms up


def saved_without_signals(paths: Sequence[Path]) -> list[int]:
    """Files in the media folder, and rows that nobody has indexed yet."""
    folder = Path(settings.MEDIA_ROOT) / "products"
    folder.mkdir(parents=True)
    category = Category.objects.create(name="Goods", slug="goods")
    product = Product.objects.create(title="Goods", sku="1", price=1, category=category)
    images = []
    for number, path in enumerate(paths):
        shutil.copyfile(path, folder / f"{number}.jpg")
        with Image.open(path) as picture:
            width, height = picture.size
        images.append(ProductImage(product=product, image=f"products/{number}.jpg", width=width, height=height))
    return [image.pk for image in ProductImage.objects.bulk_create(images)]


def index(source: ImageSource, pks: list[int]) -> None:
    """What ``visualsearch_reindex --sync`` does with a chunk."""
    outcome = lifecycle.index_images(source, pks)
    assert outcome.indexed == len(pks), outcome


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def figures(times: dict[str, list[float]], chunk: int, graph: float) -> dict[str, Any]:
    """Speeds from the median chunk: what else the machine does then spoils single chunks, not the figure."""
    images = chunk * len(times["encoder"])
    an_image = {name: percentile(seconds, 50) / chunk for name, seconds in times.items()}
    with_graph = an_image["end_to_end"] + graph / images
    return {
        "images": images,
        "chunk": chunk,
        "encoder_images_per_s": round(1 / an_image["encoder"], 1),
        "model_images_per_s": round(1 / an_image["model"], 1),
        "end_to_end_images_per_s": round(1 / an_image["end_to_end"], 1),
        "end_to_end_vs_encoder": round(an_image["encoder"] / an_image["end_to_end"], 3),
        "end_to_end_vs_model": round(an_image["model"] / an_image["end_to_end"], 3),
        "graph_s": round(graph, 3),
        "with_graph_vs_encoder": round(an_image["encoder"] / with_graph, 3),
    }
