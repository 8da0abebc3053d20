"""A catalogue of any size in seconds: rows made by the database, all of one small file."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import connection

from tests.shelf import category, picture
from visualsearch.images import content_hash, open_image
from visualsearch.models import VisualIndex
from visualsearch.testing import FakeEncoder

FILE = "products/one.png"


def fill(count: int) -> VisualIndex:
    """Products with an image each, and an active version of FakeEncoder in which every row is true."""
    path, content = Path(settings.MEDIA_ROOT) / FILE, picture()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    index = VisualIndex.objects.create(
        source="product",
        encoder="visualsearch.testing.FakeEncoder",
        fingerprint=FakeEncoder.fingerprint,
        dimensions=64,
        state="active",
    )
    vector = FakeEncoder().encode([open_image(content)])[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_product (title, sku, colour, price, stock, is_published, description, created_at,"
            " category_id) SELECT 'P' || n, 'S' || n, '', 1, 1, true, '', now(), %s FROM generate_series(1, %s) n",
            [category().pk, count],
        )
        cursor.execute(
            "INSERT INTO catalog_productimage (product_id, image, width, height, position, origin, digest)"
            " SELECT id, %s, 40, 40, 0, '', '' FROM catalog_product",
            [FILE],
        )
        cursor.execute(
            "INSERT INTO visualsearch_imageembedding (index_id, object_id, state, code, reason, attempts, claim, file,"
            " content_hash, vector, indexed_at) SELECT %s, id::text, 'indexed', '', '', 0, 1, %s, %s, %s::vector, now()"
            " FROM catalog_productimage",
            [index.pk, FILE, content_hash(content), str(vector.tolist())],
        )
        cursor.execute("ANALYZE")
    return index
