"""Fills the demo shop with drawn goods. Products are known by their SKU: what is there is left as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import transaction
from django.utils.text import slugify

from catalog.drawing import SIZE
from catalog.drawing.assortment import Item, assortment
from catalog.drawing.studio import Drawn, Job, draughtsmen
from catalog.models import Category, Product, ProductImage

BATCH = 24  # products a transaction: an interrupted seed goes on from the last one


@dataclass
class Seeded:
    """What a run of ``seed`` did."""

    products: int = 0  # made
    pictures: int = 0  # drawn for them
    redrawn: int = 0  # of products that were there, whose files were gone
    kept: int = 0  # products that were there


def seed(items: list[Item]) -> Iterator[Seeded]:
    """Draws and saves what of ``items`` is missing; yields the counts so far after each batch.

    Images are made with ``bulk_create``, which sends no signals and so queues nothing: run
    ``visualsearch_reindex --missing`` afterwards.
    """
    present = set(Product.objects.filter(sku__in=[i.sku for i in items]).values_list("sku", flat=True))
    counts = Seeded(kept=len(present))
    new = [item for item in items if item.sku not in present]
    gone = _gone([item for item in items if item.sku in present])
    with draughtsmen(sum(len(item.views) for item in new) + len(gone)) as draw:
        for batch in (new[i : i + BATCH] for i in range(0, len(new), BATCH)):
            _save_files(draw([(item, n) for item in batch for n in range(len(item.views))]))
            counts.pictures += _save_rows(batch)
            counts.products += len(batch)
            yield counts
        _save_files(draw(gone))
        _announce(gone)
        counts.redrawn = len(gone)
        yield counts


def clear() -> int:
    """Deletes the seeded products with their pictures' files; returns how many there were."""
    products = Product.objects.filter(sku__in=[item.sku for item in assortment()])
    names = list(ProductImage.objects.filter(product__in=products).exclude(image="").values_list("image", flat=True))
    count = products.count()
    with transaction.atomic():
        products.delete()
        Category.objects.filter(products=None, name__in={item.category for item in assortment()}).delete()
    for name in names:
        _storage().delete(name)
    return count


def _storage() -> Storage:
    storage: Storage = ProductImage._meta.get_field("image").storage
    return storage


def _gone(items: list[Item]) -> list[Job]:
    """Pictures that we drew once, whose files are no longer in the storage."""
    by_name = {item.file_name(n): (item, n) for item in items for n in range(len(item.views))}
    named = ProductImage.objects.filter(image__in=by_name, product__sku__in=[item.sku for item in items])
    return [by_name[n] for n in named.order_by("pk").values_list("image", flat=True) if not _storage().exists(n)]


def _save_files(drawn: Iterable[Drawn]) -> None:
    for name, content in drawn:
        _storage().delete(name)  # left over from a run that stopped before its rows were saved
        _storage().save(name, ContentFile(content))


@transaction.atomic
def _announce(jobs: list[Job]) -> None:
    """Saves the images whose files are back: an image that failed for want of its file is queued again."""
    for image in ProductImage.objects.filter(image__in=[item.file_name(position) for item, position in jobs]):
        image.save(update_fields=["image"])


@transaction.atomic
def _save_rows(items: list[Item]) -> int:
    categories = {name: _category(name) for name in {item.category for item in items}}
    products = Product.objects.bulk_create(
        Product(
            sku=item.sku,
            title=item.title,
            category=categories[item.category],
            colour=item.colour,
            price=item.price,
            stock=item.stock,
            description=item.description,
        )
        for item in items
    )
    images = [
        ProductImage(product=product, image=item.file_name(n), width=SIZE, height=SIZE, position=n)
        for item, product in zip(items, products, strict=True)
        for n in range(len(item.views))
    ]
    return len(ProductImage.objects.bulk_create(images))


def _category(name: str) -> Category:
    return Category.objects.get_or_create(name=name, defaults={"slug": slugify(name)})[0]
