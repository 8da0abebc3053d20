"""Many indexed products in a moment: rows and vectors without pictures, and a store that searches them in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from catalog.models import Product, ProductImage
from tests.shelf import CALIBRATION, category
from visualsearch.encoders.base import Vectors
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.search import Results
from visualsearch.stores import Neighbour, get_store
from visualsearch.stores.pgvector import PgVectorStore
from visualsearch.testing import FakeEncoder

CATEGORIES = ("chairs", "lamps", "tables")
COLOURS = ("red", "green", "blue", "grey")


class QuickStore(PgVectorStore):
    """Compares all vectors itself, of products with one image each: thousands of searches in the time that PostgreSQL
    takes to plan a hundred."""

    def search(
        self, index: VisualIndex, vector: Sequence[float], eligible: Any, limit: int, **options: Any
    ) -> list[Neighbour]:
        known = _vectors(index.pk)
        distances = 1 - known.vectors @ np.asarray(vector, np.float32) / np.linalg.norm(vector)
        nearest = dict(zip(known.keys, distances.tolist(), strict=True))
        left = eligible.exclude(product__in=options.get("without", ())).order_by().values_list("pk", flat=True)
        images = sorted(left, key=lambda key: (nearest[key], str(key)))[:limit]
        related = eligible.model.objects.select_related(*options.get("related", ()))
        loaded = related.in_bulk(images)
        return [Neighbour(loaded[key], nearest[key]) for key in images]


class Known(NamedTuple):
    keys: list[int]
    vectors: Vectors


@cache
def _vectors(index: int) -> Known:
    rows = list(ImageEmbedding.objects.filter(index=index))
    return Known([int(row.object_id) for row in rows], np.stack([np.asarray(row.vector) for row in rows]))


def around(angles: Sequence[float]) -> Vectors:
    """Unit vectors on a circle: how near two of them are is how near their angles are."""
    vectors = np.zeros((len(angles), FakeEncoder.dimensions), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    return vectors


def crowd(vectors: Vectors) -> list[Product]:
    """A product of one image for each vector, in turn of each category and colour; their price is their number."""
    kinds = [category(name.title()) for name in CATEGORIES]
    products = Product.objects.bulk_create(
        [
            Product(
                title=f"Product {n}",
                sku=f"C{n}",
                price=n,
                stock=1,
                category=kinds[n % len(kinds)],
                colour=COLOURS[n % len(COLOURS)],
            )
            for n in range(len(vectors))
        ]
    )
    images = ProductImage.objects.bulk_create(
        [ProductImage(product=product, image=f"{product.sku}.png", width=9, height=9) for product in products]
    )
    encoder = FakeEncoder()
    index = VisualIndex.objects.create(
        source="product",
        encoder="fake",
        fingerprint=encoder.fingerprint,
        dimensions=encoder.dimensions,
        state="active",
        calibration=CALIBRATION,
    )
    keys = [str(image.pk) for image in images]
    ImageEmbedding.objects.bulk_create(
        [ImageEmbedding(index=index, object_id=key, state="indexed", file="x.png") for key in keys]
    )
    get_store().upsert(index, keys, vectors)
    return products


def pages(search: Any, size: int, **options: Any) -> list[Results]:
    """Every page of a list, from the first."""
    found = [search(size, cursor="", **options)]
    while found[-1].next:
        found.append(search(size, cursor=found[-1].next, **options))
    return found


def keys(*results: Results) -> list[Any]:
    return [match.product.pk for page in results for match in page]
