"""Time and memory of ``visualsearch_reconcile`` over a catalogue made by the database, all of one small file."""

from __future__ import annotations

import io
import json
import resource
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from PIL import Image

from benchmarks.commands import elsewhere, here
from benchmarks.stage import CannotMeasure, say
from catalog.models import Category
from visualsearch import lifecycle
from visualsearch.images import content_hash
from visualsearch.sources import get_source

IMAGES, QUICK_IMAGES = 100_000, 500
FILE = "products/one.png"
EVERY = 10  # one image in so many has lost its row, the second time


def measure(*, quick: bool) -> dict[str, Any]:
    """All true; then only files modified in the last minute; then with rows lost. Each in a fresh process."""
    count = QUICK_IMAGES if quick else IMAGES
    say(f"{count} images")
    fill(count)
    all_s = reconcile(quick, count, drift=0)
    since_s = reconcile(quick, count, "--since", "1m", drift=0)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM visualsearch_imageembedding WHERE id %% %s = 0", [EVERY])
        lost = cursor.rowcount
    drift_s = reconcile(quick, count, drift=lost)
    who = resource.RUSAGE_SELF if quick else resource.RUSAGE_CHILDREN
    return {
        "images": count,
        "all_files_s": all_s,
        "images_per_s": round(count / all_s),
        "since_s": since_s,
        "with_drift": lost,
        "with_drift_s": drift_s,
        "peak_mb": round(resource.getrusage(who).ru_maxrss / 1024, 1),
    }


def reconcile(quick: bool, count: int, *arguments: str, drift: int) -> float:
    """Seconds. Raises CannotMeasure where it looked at other images, or found other drift."""
    start = time.perf_counter()
    printed = (here if quick else elsewhere)("visualsearch_reconcile", "--json", *arguments)
    seconds = round(time.perf_counter() - start, 2)
    (found,) = json.loads(printed)["sources"]
    if (found["images"], sum(found["drift"].values())) != (count, drift):
        raise CannotMeasure(f"visualsearch_reconcile looked at {found['images']} images and found {found['drift']}.")
    return seconds


def fill(count: int) -> None:
    """Products with an image each, and an active version with a row for each, made from the first one's."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), "teal").save(buffer, "PNG")
    path = Path(settings.MEDIA_ROOT) / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(buffer.getvalue())
    source = get_source("product")
    category = Category.objects.create(name="Goods", slug="goods")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_product (title, sku, colour, price, stock, is_published, description, created_at,"
            " category_id) SELECT 'P' || n, 'S' || n, '', 1, 1, true, '', now(), %s FROM generate_series(1, %s) n",
            [category.pk, count],
        )
        cursor.execute(
            "INSERT INTO catalog_productimage (product_id, image, width, height, position, origin, digest)"
            " SELECT id, %s, 40, 40, 0, '', '' FROM catalog_product",
            [FILE],
        )
        index = lifecycle.ensure_active(source)
        lifecycle.index_images(source, [source.images().order_by("pk").values_list("pk", flat=True)[0]])
        cursor.execute(
            "INSERT INTO visualsearch_imageembedding (index_id, object_id, state, code, reason, attempts, claim, file,"
            " content_hash, vector, indexed_at) SELECT e.index_id, i.id::text, 'indexed', '', '', 0, 1, e.file,"
            " %s, e.vector, now() FROM catalog_productimage i, visualsearch_imageembedding e WHERE e.index_id = %s"
            " ON CONFLICT DO NOTHING",
            [content_hash(path.read_bytes()), index.pk],
        )
    lifecycle.prepare(source)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
