"""The products and categories of a batch: found, made or changed."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from django.utils.text import slugify

from catalog.importing.entries import Entry
from catalog.models import Category, Product, ProductImage

DEFAULT_PRICE = Decimal("0.00")
DEFAULT_STOCK = 1


class Shelf:
    """``new`` and ``changed`` collect what ``save`` writes; nothing is written before."""

    def __init__(self, skus: list[str], known: dict[str, ProductImage]) -> None:
        self._products = {p.sku: p for p in Product.objects.filter(sku__in=skus).select_related("category")}
        one_each = {product.pk: product for product in self._products.values()}
        for image in known.values():
            image.product = one_each.setdefault(image.product_id, image.product)
        self._categories = {c.name.casefold(): c for c in Category.objects.all()}
        self._slugs = {c.slug for c in self._categories.values()}
        self._known = known
        self.new: list[Product] = []
        self.changed: dict[int, Product] = {}

    def product(self, sku: str, entries: list[Entry], first: Entry) -> tuple[Product, list[str]]:
        """The product of these files, and which of its fields change. It may be a new one, not saved yet.

        A new product is called as its ``first`` readable file is where the CSV does not say.
        """
        product = self._found(sku, entries)
        given = {name: _given(name, entries) for name in ("title", "price", "category", "stock")}
        if product is None:
            return self._made(sku, first, given), []
        changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None and name != "category"}
        if given["category"]:
            changes["category"] = self._category(given["category"])
        if any(entry.values.sku for entry in entries):
            changes["sku"] = sku
        names = [name for name, value in changes.items() if getattr(product, name) != value]
        for name in names:
            setattr(product, name, changes[name])
        if names and product.pk:
            self.changed[product.pk] = product
        self._products[product.sku] = product
        return product, names

    def save(self) -> None:
        """Writes categories, products and changes, with three statements."""
        products = [*self.new, *self.changed.values()]
        categories = {p.category.name: p.category for p in products if p.category.pk is None}
        Category.objects.bulk_create(categories.values())
        for product in products:
            product.category_id = product.category.pk
        Product.objects.bulk_create(self.new)
        Product.objects.bulk_update(self.changed.values(), ["sku", "title", "price", "stock", "category"])

    def _found(self, sku: str, entries: list[Entry]) -> Product | None:
        """By SKU; or the product that shows these files, whose SKU was changed since, in the shop or in the CSV."""
        named = any(entry.values.sku for entry in entries)
        owners = {self._known[e.origin].product for e in entries if e.origin in self._known}
        if not named and owners:
            return min(owners, key=lambda product: product.pk)
        if sku in self._products:
            return self._products[sku]
        if len(owners) == 1:
            owner = owners.pop()
            origins = [entry.origin for entry in entries]
            if not owner.images.exclude(origin__in=origins).exists():  # nobody else's: it gets the new SKU
                return owner
        return None

    def _made(self, sku: str, entry: Entry, given: dict[str, Any]) -> Product:
        product = Product(
            sku=sku,
            title=given["title"] or entry.title,
            category=self._category(given["category"] or entry.category),
            price=DEFAULT_PRICE if given["price"] is None else given["price"],
            stock=DEFAULT_STOCK if given["stock"] is None else given["stock"],
        )
        self.new.append(product)
        self._products[sku] = product
        return product

    def _category(self, name: str) -> Category:
        """By name, whatever its case; a new one is not saved yet."""
        if found := self._categories.get(name.casefold()):
            return found
        stem = slugify(name)[:100] or f"category-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        slug, number = stem, 2
        while slug in self._slugs:
            slug, number = f"{stem}-{number}", number + 1
        self._slugs.add(slug)
        return self._categories.setdefault(name.casefold(), Category(name=name, slug=slug))


def _given(name: str, entries: list[Entry]) -> Any:
    """The first value that the CSV gives; lines that contradict it were refused before."""
    return next((value for e in entries if (value := getattr(e.values, name)) is not None), None)
