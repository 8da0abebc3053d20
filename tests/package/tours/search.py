"""Saves products with pictures and searches, in every way there is, when a worker has indexed them; prints JSON.

Arguments: a photo of a product that was there before, the template of a product's page, and the pictures to save.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template import engines
from django.test import Client
from products.models import Product, ProductImage
from products.search import like, like_photo

import visualsearch


def save(path: Path) -> Any:
    product = Product.objects.create(title=path.name)
    ProductImage.objects.create(product=product, image=ContentFile(path.read_bytes(), path.name))
    return product


photo, page, *pictures = map(Path, sys.argv[1:])
made = [save(path) for path in pictures]
end = time.monotonic() + 60
while any(visualsearch.product_state(product).state != "ready" for product in made):
    assert time.monotonic() < end, "The worker has not indexed the products in 60 s."
    time.sleep(0.1)

first, hidden = Product.objects.get(title=photo.name), made[-1]
Product.objects.filter(pk=hidden.pk).update(published=False)
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("admin"))
similar = client.get(f"/api/visualsearch/product/{first.pk}/similar/")
upload = {"image": SimpleUploadedFile("photo.jpg", photo.read_bytes(), "image/jpeg")}
searched = client.post("/api/visualsearch/product/search/", upload)
pages = (
    f"/visual-search/product/{first.pk}/similar/",
    "/visual-search/product/photo/",
    "/admin/visualsearch/imageembedding/",
    "/admin/visualsearch/visualindex/",
)

print(
    json.dumps(
        {
            "package": visualsearch.__file__,
            "loaded": [name for name in ("tensorflow", "keras", "ai_edge_litert") if name in sys.modules],
            "made": [str(product.pk) for product in made],
            "like": [str(product.pk) for product, image, score in like(first)],
            "photo": [str(product.pk) for product in like_photo(photo.read_bytes())],
            "api": [match["product"]["id"] for match in similar.json()["results"]],
            "api_photo": [match["product"]["id"] for match in searched.json()["results"]],
            "page": engines["django"].from_string(page.read_text()).render({"product": first}),
            "pages": {path: client.get(path).status_code for path in pages},
        }
    )
)
