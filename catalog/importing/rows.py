"""Rows of products and images for a batch of files, in one transaction.

New images are made with ``bulk_create``, which sends no signals: ``visualsearch_reindex --missing`` indexes them.
An image whose file changed is saved, which queues it as any shop's save does.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from catalog.importing.entries import Entry, Failure, Groups
from catalog.importing.outcome import Outcome
from catalog.importing.pictures import Picture, Refused, inspect
from catalog.importing.shelf import Shelf
from catalog.models import Product, ProductImage

THREADS = 2  # read and decode files side by side; Pillow lets go of the interpreter meanwhile. More take more memory
BATCH_PRODUCTS = 200
BATCH_BYTES = 32 * 1024 * 1024
LONGEST_NAME = 100  # of a file in the storage, as ProductImage.image has it


def apply(groups: Groups, *, dry_run: bool = False) -> Outcome:
    """Imports the files of these products, or with ``dry_run`` says what it would do. A bad file is a failure."""
    batch = _Batch(groups)
    batch.plan()
    if not dry_run:
        batch.write()
    return batch.outcome


def batches(groups: Groups) -> Iterator[Groups]:
    """Products in portions that are worth a transaction and fit in memory: their files are held until stored."""
    batch: Groups = {}
    size = 0
    for sku, group in groups.items():
        batch[sku] = group
        size += sum(_size(entry) for entry in group)
        if len(batch) >= BATCH_PRODUCTS or size >= BATCH_BYTES:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch


def _size(entry: Entry) -> int:
    try:
        return entry.path.stat().st_size
    except OSError:
        return 0  # gone or not ours to read: inspect() says so


class StorageFault(Exception):
    """The storage did not take a file."""


class _Batch:
    def __init__(self, groups: Groups) -> None:
        self.groups = groups
        self.entries = [entry for group in groups.values() for entry in group]
        self.origins = [entry.origin for entry in self.entries]
        images = ProductImage.objects.filter(origin__in=self.origins).select_related("product__category")
        self.known = {image.origin: image for image in images}
        self.shelf = Shelf(list(groups), self.known)
        self.outcome = Outcome()
        self.copies: list[tuple[ProductImage, Entry, Picture]] = []  # files to store
        self.new: list[ProductImage] = []
        self.changed: list[ProductImage] = []  # rows that are there and get another file, product or origin
        self.positions: dict[int, int] = {}

    def plan(self) -> None:
        """Decides everything and writes nothing."""
        pictures = self._inspected()
        for sku, group in self.groups.items():
            readable = [entry for entry in group if entry.origin in pictures]
            if not readable:
                continue
            product, changes = self.shelf.product(sku, group, readable[0])
            self.outcome.products += product.pk is None
            for entry in readable:
                self._image(entry, pictures[entry.origin], product, changes)

    def _inspected(self) -> dict[str, Picture]:
        pictures: dict[str, Picture] = {}
        with ThreadPoolExecutor(THREADS) as pool:
            for entry, result in zip(self.entries, pool.map(self._inspect, self.entries), strict=True):
                if isinstance(result, Picture):
                    pictures[entry.origin] = result
                else:
                    self._fail(entry, result)
        return pictures

    def _inspect(self, entry: Entry) -> Picture | Refused:
        known = self.known.get(entry.origin)
        try:
            return inspect(entry.path, known.digest if known and _is_stored(known) else "")
        except Refused as exc:
            return exc

    def _image(self, entry: Entry, picture: Picture, product: Product, product_changes: list[str]) -> None:
        image = self.known.get(entry.origin) or self._moved_file(product, picture)
        if image is None:
            self._new_image(entry, picture, product)
            return
        changes = list(product_changes)
        if image.product_id != product.pk:
            changes.append(f"from product {image.product.sku}")
            image.product, image.position = product, self._next_position(product)
        if image.origin != entry.origin:
            changes.append("found at another place")
            image.origin = entry.origin
        elif picture.decoded:  # not what we have, or our copy is gone
            changes.append("picture")
            self.copies.append((image, entry, picture))
        if len(changes) > len(product_changes):
            self.changed.append(image)
        self._note(entry, product, changes)

    def _new_image(self, entry: Entry, picture: Picture, product: Product) -> None:
        image = ProductImage(product=product, origin=entry.origin, position=self._next_position(product))
        self.new.append(image)
        self.copies.append((image, entry, picture))
        self.outcome.created += 1
        self.outcome.steps.append(f"create {entry.name}: {product.sku} {product.title!r}, {product.category}")

    def _note(self, entry: Entry, product: Product, changes: list[str]) -> None:
        if changes:
            self.outcome.updated += 1
            self.outcome.steps.append(f"update {entry.name}: {product.sku} {', '.join(changes)}")
        else:
            self.outcome.unchanged += 1

    def _moved_file(self, product: Product, picture: Picture) -> ProductImage | None:
        """The product's image with the same content, where the file it came from was imported from another place."""
        if product.pk is None:
            return None
        same = product.images.filter(digest=picture.digest).exclude(origin="").exclude(origin__in=self.origins)
        taken = [image.pk for image in self.changed if image.pk]
        return same.exclude(pk__in=taken).select_related("product__category").first()

    def _next_position(self, product: Product) -> int:
        if id(product) not in self.positions:
            last = product.images.aggregate(last=Max("position"))["last"] if product.pk else None
            self.positions[id(product)] = -1 if last is None else last
        self.positions[id(product)] += 1
        return self.positions[id(product)]

    def _fail(self, entry: Entry, reason: Exception) -> None:
        self.outcome.failures.append(Failure(entry.where, str(reason)))

    def write(self) -> None:
        """Stores the files, then saves all rows; if that fails, the files are removed again."""
        written: list[str] = []
        try:
            replaced = self._store_copies(written)
            with transaction.atomic():
                self.shelf.save()
                for image in [*self.new, *self.changed]:
                    image.product_id = image.product.pk
                ProductImage.objects.bulk_create(self.new)
                for image in self.changed:
                    image.save()
                for name in replaced:
                    transaction.on_commit(partial(_storage().delete, name))
        except BaseException:
            for name in written:
                _storage().delete(name)
            raise

    def _store_copies(self, written: list[str]) -> list[str]:
        """Adds the names in the storage to ``written``; returns those that they replace. Raises StorageFault."""
        replaced: list[str] = []
        for image, entry, picture in self.copies:
            old = image.image.name
            try:
                # The name's setter, not the field's, which would read the file once more for its size.
                image.image.name = _store(image, entry, picture)
            except OSError as exc:
                raise StorageFault(f"{entry.name} cannot be stored: {exc.strerror or exc}.") from exc
            written.append(image.image.name)
            if image.pk and old:
                replaced.append(old)
            image.width, image.height, image.digest = picture.width, picture.height, picture.digest
        return replaced


def _store(image: ProductImage, entry: Entry, picture: Picture) -> str:
    """Copies a file into the storage, under a name that says what is in it; returns the name."""
    stem = f"{slugify(image.product.sku)[:50] or 'image'}-{picture.digest[:10]}"
    field = ProductImage._meta.get_field("image")
    name = field.generate_filename(image, f"{stem}{entry.path.suffix.lower()[:8]}")
    return _storage().save(name, ContentFile(picture.data), max_length=LONGEST_NAME)


def _is_stored(image: ProductImage) -> bool:
    name = image.image.name
    return bool(name) and _storage().exists(str(name))


def _storage() -> Storage:
    storage: Storage = ProductImage._meta.get_field("image").storage
    return storage
