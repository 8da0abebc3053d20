"""The filters that customers use, in the list, in similar products and in the API alike."""

from __future__ import annotations

import django_filters
from django.utils.translation import gettext_lazy as _

from catalog.models import Category, Product


class ColourFilter(django_filters.MultipleChoiceFilter):
    """The colours of products on sale. django-filter's AllValuesMultipleFilter would tell those of hidden ones too."""

    @property
    def field(self):  # type: ignore[no-untyped-def]
        colours = Product.objects.on_sale().order_by("colour").values_list("colour", flat=True).distinct()
        self.extra["choices"] = [(colour, colour) for colour in colours]
        return super().field


class ProductFilter(django_filters.FilterSet):
    # Orders of results beside "most alike first".
    sort = {"price": _("Price, lowest first"), "-price": _("Price, highest first"), "-created_at": _("Newest first")}

    category = django_filters.ModelMultipleChoiceFilter(
        field_name="category__slug", queryset=Category.objects.all(), to_field_name="slug", label=_("Category")
    )
    colour = ColourFilter(label=_("Colour"))
    price_min = django_filters.NumberFilter("price", lookup_expr="gte", label=_("Price from"))
    price_max = django_filters.NumberFilter("price", lookup_expr="lte", label=_("Price to"))
    in_stock = django_filters.BooleanFilter(method="filter_in_stock", label=_("In stock"))

    class Meta:
        model = Product
        fields: list[str] = []

    def filter_in_stock(self, queryset, name, value):  # type: ignore[no-untyped-def]
        return queryset.filter(stock__gt=0) if value else queryset.filter(stock=0)
