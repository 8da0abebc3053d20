"""People who may use the admin, and a shop with indexed, waiting and failed images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from catalog.models import Product, ProductImage
from tests import shelf
from visualsearch import lifecycle


@pytest.fixture(autouse=True)
def admin_alone(settings: Any, fake_encoder: None, queue: Any) -> None:
    settings.ROOT_URLCONF = "tests.admin.urls"


@dataclass
class Shelves:
    whole: Product  # three images, indexed
    part: Product  # three images: one indexed, one waiting, one that is no image
    broken: Product  # one image, which is no image
    waiting: Product  # one image, which waits
    bare: Product  # no image


@pytest.fixture
def shelves(db: None, queue: Any) -> Shelves:
    pictures = [shelf.picture(shelf.shade(number)) for number in range(8)]
    whole = shelf.make_product(*pictures[:3], title="Whole")
    part = shelf.make_product(pictures[3], b"no picture", title="Part")
    broken = shelf.make_product(b"no picture", title="Broken")
    bare = shelf.make_product(title="Bare")
    ProductImage.objects.create(product=bare)  # an image whose file was never given
    shelf.index_everything()
    waiting = shelf.make_product(pictures[4], title="Waiting")
    ProductImage.objects.create(product=part, image=shelf.upload(pictures[5]), position=2)
    queue.take()
    return Shelves(whole, part, broken, waiting, bare)


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def staff(*permissions: str) -> Client:
    """A client of someone who may enter the admin, with these permissions: "app.codename"."""
    user = User.objects.create_user("clerk", is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(user)
    return client


def replace_file(image: ProductImage, content: bytes) -> None:
    """As a save does, before the worker comes by."""
    image.image = shelf.upload(content)
    image.save()


def index(*images: ProductImage) -> None:
    lifecycle.index_images(shelf.product_source(), [image.pk for image in images])
