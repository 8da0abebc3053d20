"""A shop that has products takes visual search up. Arguments, as JSON: the commands to start with, and pictures.

Prints the products' keys, and their states after the commands, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.management import call_command
from products.models import Product, ProductImage

import visualsearch
import visualsearch.testing


def command(*arguments: str) -> None:
    call_command(*arguments, stdout=sys.stderr)


def save(path: Path) -> Any:
    product = Product.objects.create(title=path.name)
    ProductImage.objects.create(product=product, image=ContentFile(path.read_bytes(), path.name))
    return product


(migrate, *others), pictures = map(json.loads, sys.argv[1:])
command("makemigrations", "products")
command(*migrate)
command("check", "--database", "default", "--fail-level", "WARNING")
with visualsearch.testing.disable_indexing():  # these were there before
    made = [save(Path(name)) for name in pictures]
for arguments in others:
    command(*arguments)
print(json.dumps({str(product.pk): visualsearch.product_state(product).state for product in made}))
