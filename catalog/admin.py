"""The demo shop's admin, for the people who keep the shop."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import Count, Prefetch, QuerySet, TextField
from django.forms import Textarea
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from catalog.models import Category, Product, ProductImage
from visualsearch.admin import ReindexMixin, picture

admin.site.site_header = "Demo shop"
admin.site.site_title = "Demo shop"
admin.site.index_title = "Keeping the shop"


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "products"]
    search_fields = ["name"]
    prepopulated_fields = {"slug": ["name"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        return super().get_queryset(request).annotate(product_count=Count("products"))

    @admin.display(ordering="product_count")
    def products(self, category: Category) -> SafeString:
        address = reverse("admin:catalog_product_changelist") + "?" + urlencode({"category__id__exact": category.pk})
        return format_html('<a href="{}">{}</a>', address, category.product_count)  # type: ignore[attr-defined]


class ProductImageInline(admin.TabularInline):
    model = ProductImage
    fields = ["thumbnail", "image", "position"]
    readonly_fields = ["thumbnail"]
    extra = 1

    @admin.display(description="picture")
    def thumbnail(self, image: ProductImage) -> SafeString:
        return picture(image.image, 100)


class StockFilter(admin.SimpleListFilter):
    title = "stock"
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("in", "In stock"), ("out", "Sold out")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product] | None:
        if self.value() == "in":
            return queryset.filter(stock__gt=0)
        return queryset.filter(stock=0) if self.value() == "out" else None


@admin.register(Product)
class ProductAdmin(ReindexMixin, admin.ModelAdmin):
    list_display = ["thumbnail", "title", "sku", "category", "price", "stock", "is_published"]
    list_display_links = ["title"]
    list_editable = ["stock", "is_published"]
    list_filter = ["is_published", StockFilter, "category", "colour"]
    list_select_related = ["category"]
    list_per_page = 50
    search_fields = ["title", "sku"]
    search_help_text = "Title or SKU"
    formfield_overrides = {TextField: {"widget": Textarea(attrs={"rows": 4, "cols": 80})}}
    autocomplete_fields = ["category"]
    inlines = [ProductImageInline]
    save_on_top = True
    actions = ["publish", "unpublish"]
    readonly_fields = ["created_at", "visual_search_state"]
    fieldsets = [
        (None, {"fields": ["title", "sku", "category", "colour", "description"]}),
        ("Sale", {"fields": [("price", "stock"), "is_published"]}),
        ("Record", {"fields": ["created_at", "visual_search_state"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        pictured = ProductImage.objects.exclude(image="")
        return super().get_queryset(request).prefetch_related(Prefetch("images", pictured, to_attr="pictured"))

    @admin.display(description="picture")
    def thumbnail(self, product: Product) -> SafeString:
        first = product.pictured[0] if product.pictured else None  # type: ignore[attr-defined]
        return picture(first and first.image)

    @admin.action(description="Publish selected products", permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        count = queryset.update(is_published=True)
        self._say(request, f"{_counted(count)} in the shop again.")

    @admin.action(description="Take selected products out of the shop", permissions=["change"])
    def unpublish(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        count = queryset.update(is_published=False)
        self._say(request, f"{_counted(count)} no longer shown, in no list and in no search.")

    def _say(self, request: HttpRequest, text: str) -> None:
        self.message_user(request, text, messages.SUCCESS)


def _counted(count: int) -> str:
    return "1 product is" if count == 1 else f"{count} products are"


@admin.register(ProductImage)
class ProductImageAdmin(ReindexMixin, admin.ModelAdmin):
    list_display = ["thumbnail", "product", "image", "size", "position"]
    list_display_links = ["thumbnail", "product"]
    list_filter = ["product__category"]
    list_select_related = ["product"]
    list_per_page = 50
    search_fields = ["product__title", "product__sku", "image"]
    search_help_text = "Title or SKU of the product, or name of the file"
    autocomplete_fields = ["product"]
    fields = ["large", "product", "image", "position", "size", "visual_search_state"]
    readonly_fields = ["large", "size", "visual_search_state"]

    @admin.display(description="picture")
    def thumbnail(self, image: ProductImage) -> SafeString:
        return picture(image.image, alt=str(image))

    @admin.display(description="picture")
    def large(self, image: ProductImage) -> SafeString:
        return picture(image.image, 300)

    @admin.display(description="pixels")
    def size(self, image: ProductImage) -> str:
        return f"{image.width} x {image.height}" if image.width else "-"
