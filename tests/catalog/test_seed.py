"""catalog_seed: makes the shop's goods once, and repairs what is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage

from catalog import seeding
from catalog.drawing import KINDS, SIZE, jpeg, studio
from catalog.drawing.assortment import Item, assortment, spread
from catalog.management.commands import catalog_seed
from catalog.models import Category, Product, ProductImage
from shop import demo
from tests.catalog.conftest import Ran

Run = Callable[..., Ran]


drawn_once = cache(jpeg)  # drawing is what takes time here, and test_drawing.py's subject


@pytest.fixture
def goods(monkeypatch: pytest.MonkeyPatch) -> list[Item]:
    """One product of each kind instead of all of them."""
    some = assortment()[::25]
    monkeypatch.setattr(seeding, "assortment", lambda: some)
    monkeypatch.setattr(catalog_seed, "spread", lambda products: some)
    monkeypatch.setattr(seeding, "BATCH", 5)
    monkeypatch.setattr(studio, "jpeg", drawn_once)
    monkeypatch.setattr(studio, "WORTH_A_POOL", 1000)
    return some


def test_seeds_products_with_their_pictures(run: Run, goods: list[Item]) -> None:
    ran = run("catalog_seed")
    pictures = sum(len(item.views) for item in goods)
    assert ran.out == f"{len(goods)} products made, {pictures} pictures drawn.\n"
    assert ProductImage.objects.count() == pictures
    for item in goods:
        product = Product.objects.get(sku=item.sku)
        assert (product.title, product.price, product.stock, product.colour, product.category.name) == (
            item.title, item.price, item.stock, item.colour, item.category,
        )  # fmt: skip
        images = list(product.images.all())
        assert [image.position for image in images] == list(range(len(item.views)))
        assert {(image.width, image.height) for image in images} == {(SIZE, SIZE)}
        with default_storage.open(images[0].image.name) as file:
            assert file.read() == drawn_once(item.kind, item.look, item.views[0])


def test_draws_every_product_unless_fewer_are_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "jpeg", lambda *look: b"drawn")
    monkeypatch.setattr(studio, "WORTH_A_POOL", 1000)
    monkeypatch.setattr("sys.argv", ["shop.demo"])
    asked = demo.parsed().products
    assert run("catalog_seed", products=48).out.startswith("48 products made, ")
    assert Counter(Product.objects.values_list("category__name", flat=True)) == Counter(
        item.category for item in spread(48)
    )
    ran = run("catalog_seed", products=asked)
    assert ran.out.startswith("240 products made, ")
    assert Product.objects.count() == len(assortment()) == 288
    assert ProductImage.objects.count() == sum(len(item.views) for item in assortment())


def test_fewer_are_of_every_kind_and_more_than_there_are_is_all() -> None:
    assert {item.kind for item in spread(len(KINDS))} == set(KINDS)
    assert spread(None) == spread(1000) == assortment()


@pytest.mark.parametrize("products", [0, -3])
def test_no_products_at_all_are_refused(run: Run, goods: list[Item], products: int) -> None:
    assert run("catalog_seed", products=products, clear=True).sentence == "--products is a number from 1 on."


def test_queues_nothing(run: Run, goods: list[Item], queue: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run("catalog_seed")
    assert queue.tasks == []


def test_a_second_run_changes_nothing_and_says_so(run: Run, goods: list[Item]) -> None:
    run("catalog_seed")
    Product.objects.filter(sku=goods[0].sku).update(title="Edited", stock=99)
    before = list(ProductImage.objects.values()), list(Product.objects.values())
    files = {path: path.stat().st_mtime_ns for path in Path(default_storage.location).rglob("*.jpg")}
    ran = run("catalog_seed")
    assert ran.out == f"Nothing to do: all {len(goods)} products are there.\n"
    assert (list(ProductImage.objects.values()), list(Product.objects.values())) == before
    assert {path: path.stat().st_mtime_ns for path in Path(default_storage.location).rglob("*.jpg")} == files


def test_missing_files_are_drawn_again_and_queued(
    run: Run, goods: list[Item], queue: Any, django_capture_on_commit_callbacks: Any
) -> None:
    run("catalog_seed")
    names = list(ProductImage.objects.order_by("pk").values_list("image", flat=True)[:3])
    for name in names:
        default_storage.delete(name)
    rows = list(ProductImage.objects.values())
    with django_capture_on_commit_callbacks(execute=True):
        ran = run("catalog_seed")
    assert ran.out == f"3 missing pictures drawn again; {len(goods)} products were there.\n"
    assert all(default_storage.exists(name) for name in names)
    assert list(ProductImage.objects.values()) == rows
    assert len(queue.tasks) == 1, "one task for all of them"


def test_only_missing_products_are_made(run: Run, goods: list[Item]) -> None:
    run("catalog_seed")
    Product.objects.filter(sku__in=[goods[1].sku, goods[7].sku]).delete()
    ran = run("catalog_seed")
    assert ran.out.startswith("2 products made, ")
    assert f"{len(goods) - 2} products were there." in ran.out
    assert Product.objects.count() == len(goods)


def test_an_interrupted_seed_goes_on(run: Run, goods: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    save = seeding._save_rows

    def stop_at_the_second_batch(items: list[Item]) -> int:
        if Product.objects.exists():
            raise KeyboardInterrupt
        return save(items)

    monkeypatch.setattr(seeding, "_save_rows", stop_at_the_second_batch)
    with pytest.raises(KeyboardInterrupt):
        run("catalog_seed")
    assert Product.objects.count() == 5
    monkeypatch.setattr(seeding, "_save_rows", save)
    run("catalog_seed")
    assert Product.objects.count() == len(goods)
    names = [path.name for path in Path(default_storage.location).rglob("*.jpg")]
    assert len(names) == ProductImage.objects.count(), "files of the interrupted batch are not there twice"


def test_clear_removes_the_seeded_goods_and_nothing_else(run: Run, goods: list[Item]) -> None:
    run("catalog_seed")
    category = Category.objects.get(name=goods[0].category)
    own = Product.objects.create(title="Own", sku="OWN-1", category=category, price=1)
    ran = run("catalog_seed", clear=True)
    assert ran.out.startswith(f"{len(goods)} seeded products deleted.\n{len(goods)} products made, ")
    Product.objects.filter(sku__startswith="MUG").delete()
    assert seeding.clear() == len(goods) - 1
    assert list(Product.objects.all()) == [own]
    assert list(Category.objects.all()) == [category]
    assert [p for p in Path(default_storage.location).rglob("*.jpg") if not p.name.startswith("mug")] == []


def test_many_pictures_are_drawn_in_several_processes_as_in_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [(item, 0) for item in assortment()[:: 288 // 6]]
    alone = [studio.draw(job) for job in jobs]
    monkeypatch.setattr(studio, "_cores", lambda: 2)
    monkeypatch.setattr(studio, "WORTH_A_POOL", 1)
    with studio.draughtsmen(len(jobs)) as draw:
        assert list(draw(jobs)) == alone
