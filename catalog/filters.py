"""The filters that customers use, in the list, in similar products and in the API alike."""

from __future__ import annotations

import django_filters

from catalog.models import Category, Product


class ProductFilter(django_filters.FilterSet):
    category = django_filters.ModelMultipleChoiceFilter(
        field_name="category__slug", queryset=Category.objects.all(), to_field_name="slug", label="Category"
    )
    colour = django_filters.AllValuesMultipleFilter(label="Colour")
    price_min = django_filters.NumberFilter("price", lookup_expr="gte", label="Price from")
    price_max = django_filters.NumberFilter("price", lookup_expr="lte", label="Price to")
    in_stock = django_filters.BooleanFilter(method="filter_in_stock", label="In stock")

    class Meta:
        model = Product
        fields: list[str] = []

    def filter_in_stock(self, queryset, name, value):  # type: ignore[no-untyped-def]
        return queryset.filter(stock__gt=0) if value else queryset.filter(stock=0)
