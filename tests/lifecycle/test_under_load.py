"""The shop changes its encoder in the middle of the day: ten clients search without pause, and no answer is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from catalog.models import Product, ProductImage
from tests.lifecycle.conftest import colours
from tests.lifecycle.encoders import RED, RedEncoder
from tests.shelf import picture, product_source
from visualsearch import lifecycle, search_by_image, similar_to
from visualsearch.models import VisualIndex
from visualsearch.stores import get_store

CLIENTS = 10
LIMIT = 5

Page = tuple[Any, ...]  # keys of the images and their distances: two versions have not one page in common


class Client(threading.Thread):
    """Searches by product and by photo in turns until it is told to stop, and keeps what it was answered."""

    def __init__(self, number: int, products: list[Product], photos: list[bytes], stop: threading.Event) -> None:
        super().__init__()
        self.number, self.products, self.photos, self.stop = number, products, photos, stop
        self.answers: list[tuple[str, int, Page]] = []
        self.errors: list[Exception] = []

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.number = (self.number + 1) % len(self.products)
                self.answers.append(("product", self.number, page(similar_to(self.products[self.number], LIMIT))))
                self.answers.append(("photo", self.number, page(search_by_image(self.photos[self.number], LIMIT))))
        except Exception as error:
            self.errors.append(error)
        finally:
            connection.close()


def page(results: Any) -> Page:
    return tuple((match.image.pk, match.distance) for match in results)


def expected(products: list[Product], photos: list[bytes]) -> dict[tuple[str, int], Page]:
    """What the version that is active now answers to each query."""
    by_product = {("product", n): page(similar_to(product, LIMIT)) for n, product in enumerate(products)}
    return by_product | {("photo", n): page(search_by_image(photo, LIMIT)) for n, photo in enumerate(photos)}


@contextmanager
def searching(products: list[Product], photos: list[bytes]) -> Iterator[list[Client]]:
    stop = threading.Event()
    clients = [Client(number, products, photos, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        stop.set()
        for client in clients:
            client.join(30)


def test_no_answer_is_wrong_while_versions_change(shop: list[ProductImage], monkeypatch: pytest.MonkeyPatch) -> None:
    source = product_source()
    products, photos = [image.product for image in shop], [picture(colour) for colour in colours(12)]
    old = expected(products, photos)
    trial = lifecycle.begin(source, RED)
    lifecycle.build(trial, source, chunk=64)
    lifecycle.activate(source, trial)
    new = expected(products, photos)  # a second version of this encoder will answer the same
    lifecycle.rollback(source)
    assert all(old[query] != new[query] for query in old)

    embed = RedEncoder.embed
    monkeypatch.setattr(RedEncoder, "embed", lambda self, images: (time.sleep(0.02), embed(self, images))[1])
    monkeypatch.setattr("visualsearch.lifecycle.switching.GRACE", 0.2)
    with searching(products, photos) as clients:
        lifecycle.prune(source, keep=0)
        index = lifecycle.begin(source, RED)
        lifecycle.build(index, source, chunk=6)
        lifecycle.activate(source, index, sample=2)
        for _ in range(2):
            time.sleep(0.1)
            lifecycle.rollback(source)  # back and forth
        lifecycle.prune(source, keep=0)
        assert VisualIndex.objects.get() == index
    assert [error for client in clients for error in client.errors] == []
    answers = [answer for client in clients for answer in client.answers]
    assert len(answers) > 100
    wrong = [(kind, n) for kind, n, found in answers if found not in (old[kind, n], new[kind, n])]
    assert not wrong, "neither the one version's page nor the other's: empty, or mixed"
    assert {found == old[kind, n] for kind, n, found in answers} == {True, False}, "both versions were asked"
    assert get_store().leftovers() == []
