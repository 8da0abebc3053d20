"""The demo shop, a client of visualsearch like any other."""

from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        import visualsearch
        from catalog.models import Product, ProductImage

        visualsearch.register(
            ProductImage,
            image="image",
            product="product",
            eligible=Product.objects.on_sale,
            filterset="catalog.filters.ProductFilter",
            serializer="catalog.serializers.ProductSerializer",
            related=["product__category"],
        )
