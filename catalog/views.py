"""The shop's own pages: all products, and one product."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render

from catalog.filters import ProductFilter
from catalog.forms import FilterPanel
from catalog.models import Product, ProductImage

PAGE = 24  # divisible by 2, 3 and 4: full rows at every width


def product_list(request: HttpRequest) -> HttpResponse:
    """GET: ProductFilter's names, ``page``. A value that is not understood gives no products, and 400."""
    query = without_blanks(request.GET)
    products = with_picture(Product.objects.on_sale())
    filterset = ProductFilter(query, queryset=products if "category" in query else mixed(products))
    understood = filterset.is_valid()
    page = Paginator(filterset.qs if understood else Product.objects.none(), PAGE).get_page(query.get("page"))
    context = {
        "page": page,
        "pages": page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1),
        "panel": FilterPanel(filterset, query),
    }
    return render(request, "catalog/product_list.html", context, status=200 if understood else 400)


def product_page(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: ``picture``, the number of the picture shown large, from 1."""
    product = get_object_or_404(Product.objects.on_sale().select_related("category"), pk=pk)
    images = list(product.images.exclude(image=""))
    asked = request.GET.get("picture", "1")
    number = int(asked) if asked.isdecimal() and len(asked) < 4 else 1
    shown = images[number - 1] if 1 <= number <= len(images) else next(iter(images), None)
    return render(request, "catalog/product.html", {"product": product, "images": images, "shown": shown})


def mixed(products: QuerySet[Product]) -> QuerySet[Product]:
    """The newest of each category, then the second newest of each: a first page that shows what there is."""
    place = Window(RowNumber(), partition_by="category", order_by=["-created_at", "-pk"])
    return products.order_by(place, "category__name")


def with_picture(products: QuerySet[Product]) -> QuerySet[Product]:
    """The products, each with its first picture in ``first_images``: one more query, however many they are."""
    first = ProductImage.objects.exclude(image="").order_by("product_id", "position", "pk").distinct("product")
    return products.prefetch_related(Prefetch("images", queryset=first, to_attr="first_images"))


def without_blanks(query: QueryDict) -> QueryDict:
    """The query without the fields that a form sends although nobody filled them in."""
    kept = QueryDict(mutable=True)
    for name, values in query.lists():
        if given := [value for value in values if value]:
            kept.setlist(name, given)
    return kept
