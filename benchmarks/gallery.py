"""Real embeddings in any number, and a shop's tables filled with them."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import connection
from PIL import Image
from tqdm import tqdm

from benchmarks.stage import GALLERY, CannotMeasure
from catalog.models import Category, Product, ProductImage
from visualsearch.encoders.base import Encoder
from visualsearch.images import open_image
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

Vectors = npt.NDArray[np.float32]

CATALOGUE = settings.BASE_DIR.parent / "shared" / "data" / "catalogue"
CATEGORIES = 20
STEP = 5000  # rows a statement
STEP_PICTURES = 64


def real_vectors(encoder: Encoder, count: int, cache: Path) -> Vectors:
    """``count`` unit vectors, float32 (count, dimensions), of real catalogue pictures; kept in ``cache``.

    There are 9,583 pictures; beyond that their mirror images and crops are taken, which lie near the originals as the
    views of one product do. Raises FileNotFoundError where the pictures are not there.
    """
    stem = f"gallery-{encoder.name}-{encoder.fingerprint[:12]}"
    path = next((path for path in _kept(cache, stem) if _count(path) >= count), None)
    if path is None:
        path = cache / f"{stem}-{count}.npy"
        cache.mkdir(parents=True, exist_ok=True)
        vectors = _encoded(encoder, count)
        temporary = path.with_suffix(f".{os.getpid()}.npy")
        np.save(temporary, vectors)
        temporary.replace(path)
    vectors = np.load(path, mmap_mode="r")
    return np.array(vectors[:count])


def cached_vectors(encoder: Encoder, count: int, *, quick: bool) -> Vectors:
    """``real_vectors``, kept for the next run unless ``quick``. Raises CannotMeasure where there are no pictures."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return real_vectors(encoder, count, Path(folder) if quick else GALLERY)
    except FileNotFoundError as error:
        raise CannotMeasure(str(error)) from error


def _kept(cache: Path, stem: str) -> list[Path]:
    """Galleries of this encoder that are whole, the smallest first: a smaller one is the beginning of a larger."""
    whole = [path for path in cache.glob(f"{stem}-*.npy") if path.stem.rpartition("-")[2].isdecimal()]
    return sorted(whole, key=_count)


def _count(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def pictures() -> list[Path]:
    """The catalogue's pictures, in order. Raises FileNotFoundError where there are none."""
    paths = sorted(CATALOGUE.glob("*.jpg"))
    if not paths:
        raise FileNotFoundError(f"There are no pictures in {CATALOGUE}.")
    return paths


def _encoded(encoder: Encoder, count: int) -> Vectors:
    """Number n is view n // (number of pictures) of picture n % (number of pictures); each picture is read once."""
    paths = pictures()
    vectors = np.empty((count, encoder.dimensions), dtype=np.float32)
    with ThreadPoolExecutor(2) as pool, tqdm(total=count, desc="real embeddings", unit="image", disable=None) as bar:
        for start in range(0, min(len(paths), count), STEP_PICTURES):
            numbers = range(start, min(start + STEP_PICTURES, len(paths), count))
            places = [range(number, count, len(paths)) for number in numbers]
            views = list(pool.map(_views, [paths[number] for number in numbers], map(len, places)))
            flat = [place for own in places for place in own]
            vectors[flat] = encoder.encode([view for own in views for view in own])
            bar.update(len(flat))
    return vectors


def _views(path: Path, count: int) -> list[Image.Image]:
    image = open_image(path.read_bytes())
    return [_view(image, number) for number in range(count)]


def _view(image: Image.Image, number: int) -> Image.Image:
    """A picture's view of this number: 0 as it is, then mirrored, then ever tighter crops of both."""
    if number % 2:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    inset = 0.03 * (number // 2)
    width, height = image.size
    return image.crop((int(width * inset), int(height * inset), int(width * (1 - inset)), int(height * (1 - inset))))


def fill(
    source: ImageSource, encoder: Encoder, name: str, vectors: Vectors, images_per_product: int = 1
) -> VisualIndex:
    """Products, images and an active index version that holds these vectors; the HNSW index is built at the end.

    Product number n is in category n % 20, costs n % 1000 and is published.
    """
    products = -(-len(vectors) // images_per_product)
    categories = Category.objects.bulk_create(
        [Category(name=f"Category {n:02}", slug=f"category-{n:02}") for n in range(CATEGORIES)]
    )
    made = Product.objects.bulk_create(
        [
            Product(title=f"Product {n}", sku=f"S{n}", price=n % 1000, stock=n % 5, category=categories[n % CATEGORIES])
            for n in range(products)
        ],
        batch_size=STEP,
    )
    images = ProductImage.objects.bulk_create(
        [
            ProductImage(product=made[n // images_per_product], image=f"gallery/{n}.jpg", width=224, height=224)
            for n in range(len(vectors))
        ],
        batch_size=STEP,
    )
    index = VisualIndex.objects.create(
        source=source.name,
        encoder=name,
        fingerprint=encoder.fingerprint,
        dimensions=encoder.dimensions,
        state=VisualIndex.State.ACTIVE,
    )
    ids = [str(image.pk) for image in images]
    for start in range(0, len(ids), STEP):
        part = slice(start, start + STEP)
        ImageEmbedding.objects.bulk_create(
            [
                ImageEmbedding(index=index, object_id=pk, state=ImageEmbedding.State.INDEXED, file=image.image.name)
                for pk, image in zip(ids[part], images[part], strict=True)
            ]
        )
        get_store().upsert(index, ids[part], vectors[part])
    get_store().prepare(index)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return index
