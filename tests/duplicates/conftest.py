"""A shop of which it is known which products look alike: vectors without pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from catalog.models import Product, ProductImage
from tests.shelf import category, product_source
from visualsearch import duplicates
from visualsearch.duplicates import searching
from visualsearch.encoders.base import Vectors
from visualsearch.models import DuplicateSearch, ImageEmbedding, VisualIndex
from visualsearch.stores import get_store
from visualsearch.testing import FakeEncoder

WITHIN = 0.001  # cosine distance
DIFFERENT = 60  # products that look like no other one
PLACEHOLDER = "9" * 64  # content hash of the file that many products have


def unit(vectors: Vectors) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def different(count: int, seed: int = 1) -> Vectors:
    """Unit vectors, float32 (count, 64), in all directions."""
    return unit(np.random.default_rng(seed).normal(size=(count, FakeEncoder.dimensions)).astype(np.float32))


def twins(vector: Vectors, count: int, seed: int = 2) -> Vectors:
    """Unit vectors at a cosine distance of some 0.0001 from this one and from each other."""
    noise = np.random.default_rng(seed).normal(size=(count, len(vector))).astype(np.float32)
    return unit(vector + 0.01 * unit(noise))


def stock(pictures: Sequence[Vectors], *, hashes: dict[int, str] | None = None, **fields: Any) -> list[Product]:
    """A product for each array of vectors, float32 (images, 64), of which each is an image's. ``hashes`` gives the
    images of some of them, by number of the product, one content hash."""
    shelf = category()
    known = Product.objects.count()
    products = Product.objects.bulk_create(
        [
            Product(title=f"Product {n}", sku=f"D{n}", price=n, stock=1, category=shelf, **fields)
            for n in range(known, known + len(pictures))
        ]
    )
    images = ProductImage.objects.bulk_create(
        [
            ProductImage(product=product, image=f"{product.sku}-{n}.png", width=9, height=9, position=n)
            for product, own in zip(products, pictures, strict=True)
            for n in range(len(own))
        ]
    )
    index_images(active(), images, np.concatenate(list(pictures)), hashes, products)
    return products


def active() -> VisualIndex:
    encoder = FakeEncoder()
    return VisualIndex.objects.get_or_create(
        source="product",
        state="active",
        defaults={
            "encoder": "visualsearch.testing.FakeEncoder",
            "fingerprint": encoder.fingerprint,
            "dimensions": encoder.dimensions,
        },
    )[0]


def index_images(
    index: VisualIndex,
    images: Sequence[ProductImage],
    vectors: Vectors,
    hashes: dict[int, str] | None = None,
    products: Sequence[Product] = (),
) -> None:
    given = {products[number].pk: content_hash for number, content_hash in (hashes or {}).items()}
    keys = [str(image.pk) for image in images]
    ImageEmbedding.objects.bulk_create(
        [
            ImageEmbedding(
                index=index,
                object_id=str(image.pk),
                state="indexed",
                file=image.image.name,
                content_hash=given.get(image.product_id, str(image.pk)),
            )
            for image in images
        ]
    )
    get_store().upsert(index, keys, vectors)


def groups(found: DuplicateSearch | None = None, pairs: int = 100) -> list[duplicates.Group]:
    """Every group of a search, or of a new one."""
    source = product_source()
    found = found or duplicates.search(source)
    return duplicates.loaded(source, found, duplicates.groups_of(found), pairs)


def titles(group: duplicates.Group) -> set[int]:
    """Numbers of its products."""
    return {int(side.product.title.removeprefix("Product ")) for side in group.sides}


def keys(*products: Product) -> tuple[str, ...]:
    return tuple(sorted(str(product.pk) for product in products))


@pytest.fixture
def known_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the version costs some hundred searches."""
    monkeypatch.setattr(searching, "same_within", lambda index: WITHIN)


@pytest.fixture
def shop(db: None, fake_encoder: None, known_threshold: None, queue: Any) -> list[Product]:
    """DIFFERENT products of which none looks like another; then a pair; then three of which the first has two pictures
    that are nearly the same; and one more, off sale, that looks like a different one."""
    one = different(DIFFERENT + 3)
    pair, three, off = one[DIFFERENT], one[DIFFERENT + 1], one[DIFFERENT + 2]
    pictures = [one[n : n + 1] for n in range(DIFFERENT)]
    pictures += [pair[None], twins(pair, 1)]
    pictures += [np.concatenate([three[None], twins(three, 1, 5)]), twins(three, 1, 6), twins(three, 1, 7)]
    pictures += [off[None]]
    products = stock(pictures)
    return [*products, *stock([twins(off, 1, 8)], is_published=False)]
