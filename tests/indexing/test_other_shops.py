"""Other keys, other fields, other storages, other queues."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage, storages
from django.core.management import call_command
from django.db import connection

from catalog.models import ProductImage
from tests.goods.models import FramedGarment, Garment, GarmentProxy, Poster, PosterScan
from tests.goods.sources import registered
from tests.shelf import make_product, picture, shade, upload
from visualsearch import product_state, search_by_image, similar_to
from visualsearch.models import ImageEmbedding, rows


@pytest.fixture
def shops() -> Iterator[Any]:
    with registered() as sources:
        yield sources


def garment(number: int, model: Any = Garment, **fields: Any) -> Any:
    return model.objects.create(name=f"g{number}", photo=upload(picture(shade(number))), **fields)


def test_image_on_the_product_with_a_uuid_key(shops: Any, queue: Any) -> None:
    made = [garment(number) for number in range(5)]
    queue.run()
    found = similar_to(made[0], 3)
    assert [match.product for match in found] == made[1:4]
    assert found[0].image == made[1]
    Garment.objects.filter(pk=made[1].pk).update(shown=False)
    assert [match.product for match in similar_to(made[0], 3)] == made[2:5]
    made[2].delete()
    assert rows(ImageEmbedding.objects.first().index).count() == 4


def test_text_keys_and_a_nullable_file_field(shops: Any, queue: Any) -> None:
    posters = [Poster.objects.create(code=f"P/{number} ü") for number in range(4)]
    for number, poster in enumerate(posters):
        PosterScan.objects.create(key=f"scan {number}", poster=poster, scan=upload(picture(shade(number))))
    queue.run()
    assert [match.product for match in similar_to(posters[0], 2)] == posters[1:3]
    assert search_by_image(picture(shade(3)), 1, source="posters")[0].product == posters[3]
    PosterScan.objects.filter(key="scan 1").update(scan=None)
    assert product_state(posters[1]).state == "no_image"
    call_command("visualsearch_reindex", source="posters", sync=True)
    assert [match.product for match in similar_to(posters[0], 2)] == posters[2:4]


def test_child_and_proxy_models_are_followed(shops: Any, queue: Any) -> None:
    child, proxy = garment(1, FramedGarment), garment(2, GarmentProxy)
    queue.run()
    assert set(ImageEmbedding.objects.values_list("object_id", flat=True)) == {str(child.pk), str(proxy.pk)}
    child.delete()
    proxy.delete()
    assert not ImageEmbedding.objects.exists()


def test_storage_that_is_no_file_system(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = InMemoryStorage()
    monkeypatch.setattr(ProductImage._meta.get_field("image"), "storage", memory)
    product = make_product(picture(shade(1)))
    queue.run()
    image = product.images.get()
    assert ImageEmbedding.objects.get().state == "indexed"
    assert not image.image.storage.exists("no such file")
    assert not storages["default"].exists(image.image.name)
    memory.delete(image.image.name)
    image.save()
    queue.run()
    assert ImageEmbedding.objects.get().code == "file_missing"


def test_shop_on_another_queue_needs_one_function(use_settings: Any) -> None:
    """ENQUEUE here is a plain thread, as a shop without any queue might have it."""
    use_settings(ENQUEUE="tests.indexing.test_other_shops.enqueue_to_thread")
    make_product(picture(shade(1)), picture(shade(2)))
    for thread in _threads:
        thread.join(20)
    assert set(ImageEmbedding.objects.values_list("state", flat=True)) == {"indexed"}


_threads: list[threading.Thread] = []


def enqueue_to_thread(function: str, *args: Any, delay: float = 0) -> None:
    from django.utils.module_loading import import_string

    def work() -> None:
        try:
            import_string(function)(*args)
        finally:
            connection.close()

    _threads.append(threading.Timer(delay, work))
    _threads[-1].start()
