"""What the demo shop sells."""

from __future__ import annotations

from django.db import models
from django.urls import reverse


class Category(models.Model):
    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=120, unique=True)

    class Meta:
        verbose_name_plural = "categories"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ProductQuerySet(models.QuerySet["Product"]):
    def on_sale(self) -> ProductQuerySet:
        """Products that the shop shows now."""
        return self.filter(is_published=True)


class Product(models.Model):
    title = models.CharField(max_length=200)
    sku = models.CharField("SKU", max_length=64, unique=True)
    category = models.ForeignKey(Category, models.PROTECT, related_name="products")
    colour = models.CharField(max_length=40, blank=True, db_index=True)
    price = models.DecimalField(max_digits=9, decimal_places=2)
    stock = models.PositiveIntegerField(default=0)
    is_published = models.BooleanField("published", default=True)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("catalog:product", args=[self.pk])


class ProductImage(models.Model):
    product = models.ForeignKey(Product, models.CASCADE, related_name="images")
    image = models.ImageField(upload_to="products/", width_field="width", height_field="height", blank=True)
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    position = models.PositiveSmallIntegerField(default=0)
    # Where catalog_import found it, and what it then was: what tells a changed file from one that is the same.
    origin = models.CharField(max_length=500, blank=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["product", "origin"],
                condition=~models.Q(origin=""),
                name="catalog_one_image_per_origin",
            )
        ]

    def __str__(self) -> str:
        return f"{self.product} ({self.position + 1})"
