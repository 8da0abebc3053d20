"""Small pictures and products for tests that are not about what a picture shows."""

from __future__ import annotations

import io
import itertools
from typing import Any

from django.core.files.base import ContentFile
from PIL import Image

from catalog.models import Category, Product, ProductImage
from visualsearch import lifecycle
from visualsearch.sources import ImageSource, get_source

# Of an index version: a score is 100 times the cosine similarity.
CALIBRATION = {"method": "isotonic", "distances": [0, 1], "probabilities": [1, 0]}

_numbers = itertools.count(1)


def picture(colour: Any = (200, 30, 30), size: tuple[int, int] = (40, 40), kind: str = "PNG") -> bytes:
    """A file of one colour. PNG by default, so that the colour comes back exactly."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def shade(number: int) -> tuple[int, int, int]:
    """Colours that follow each other like a rainbow: near numbers look alike."""
    return (number * 8 % 256, 100, (255 - number * 8) % 256)


def upload(content: bytes, name: str | None = None) -> ContentFile:
    return ContentFile(content, name=name or f"picture-{next(_numbers)}.png")


def category(name: str = "Goods") -> Category:
    return Category.objects.get_or_create(name=name, slug=name.lower())[0]


def make_product(*contents: bytes, **fields: Any) -> Product:
    """A product with one image for each content, saved one by one as a shop's form does."""
    number = next(_numbers)
    values = {"title": f"Product {number}", "sku": f"SKU-{number}", "price": number, "stock": 1, **fields}
    product = Product.objects.create(category=values.pop("category", None) or category(), **values)
    for position, content in enumerate(contents):
        ProductImage.objects.create(product=product, image=upload(content), position=position)
    return product


def product_source() -> ImageSource:
    return get_source("product")


def index_everything(source: ImageSource | None = None) -> None:
    """Indexes all images of a source here and now."""
    source = source or product_source()
    lifecycle.index_images(source, list(source.images().values_list("pk", flat=True)))
    lifecycle.prepare(source)
