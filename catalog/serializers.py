"""How the shop's API shows a product."""

from __future__ import annotations

from rest_framework import serializers

from catalog.models import Product


class ProductSerializer(serializers.ModelSerializer[Product]):
    url = serializers.SerializerMethodField()
    category = serializers.SlugRelatedField[Product](slug_field="slug", read_only=True)

    class Meta:
        model = Product
        fields = ["id", "sku", "title", "price", "stock", "colour", "category", "url"]

    def get_url(self, product: Product) -> str:
        return product.get_absolute_url()
