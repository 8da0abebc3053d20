"""The demo shop's addresses, and beside them the least that Django REST framework can do for similar products."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Cast
from django.urls import include, path
from pgvector.django import CosineDistance, HalfVectorField
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.models import ProductImage
from catalog.serializers import ProductSerializer
from visualsearch.models import ImageEmbedding, VisualIndex


class BareView(APIView):
    """Products of the ten images nearest to a product's first one, by Django's own means, as a shop's developer writes
    it in an hour: no rule of what is for sale, no filters, no rates; a product comes as often as its images do."""

    def get(self, request: Request, product: int) -> Response:
        image = ProductImage.objects.filter(product=product).order_by("pk")[0]
        index = VisualIndex.objects.get(state=VisualIndex.State.ACTIVE)
        rows = ImageEmbedding.objects.filter(index_id=index.pk)
        half = Cast("vector", HalfVectorField(dimensions=index.dimensions))
        distance = CosineDistance(half, rows.get(object_id=str(image.pk)).vector)
        nearest = rows.order_by(distance).values_list("object_id", flat=True)[:10]
        images = ProductImage.objects.filter(pk__in=list(nearest)).select_related("product__category")
        return Response(ProductSerializer([image.product for image in images], many=True).data)


urlpatterns: list[Any] = [path("bare/<int:product>/", BareView.as_view()), path("", include("shop.urls"))]
