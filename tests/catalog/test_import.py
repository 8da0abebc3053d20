"""catalog_import: what becomes of a folder, of a second run, and of everything that is wrong with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from PIL import Image

from catalog.importing import rows
from catalog.models import Category, Product, ProductImage
from tests.catalog.conftest import BLUE, GREEN, RED, Ran, draw

Run = Callable[..., Ran]


def test_sub_folders_become_categories(run: Run, folder: Path) -> None:
    draw(folder / "summer_dresses" / "Blaues Kleid.JPG", BLUE)
    draw(folder / "summer_dresses" / "rotes-kleid.png", RED)
    draw(folder / "Möbel" / "Stuhl größer.webp", GREEN)
    draw(folder / "loose.gif", RED)
    ran = run("catalog_import", folder)
    assert ran.status == 0
    assert ran.counts == "4 created, 0 updated, 0 unchanged, 0 failed; 4 new products."
    assert "visualsearch_reindex --missing" in ran.out
    found = {p.title: (p.category.name, p.category.slug) for p in Product.objects.select_related("category")}
    assert found == {
        "Blaues Kleid": ("Summer dresses", "summer-dresses"),
        "Rotes-kleid": ("Summer dresses", "summer-dresses"),
        "Stuhl größer": ("Möbel", "mobel"),
        "Loose": ("Uncategorised", "uncategorised"),
    }
    assert {(p.price, p.stock, p.is_published) for p in Product.objects.all()} == {(Decimal("0.00"), 1, True)}


def test_files_are_copied_into_the_storage(run: Run, folder: Path) -> None:
    source = draw(folder / "mugs" / "a mug.jpg", size=(60, 40))
    run("catalog_import", folder)
    image = ProductImage.objects.get()
    assert (image.width, image.height, image.position) == (60, 40, 0)
    assert image.origin == str(source)
    with default_storage.open(image.image.name) as file:
        assert file.read() == source.read_bytes()
    source.unlink()
    assert default_storage.exists(image.image.name), "a copy, not a link"


def test_a_picture_that_exif_turns_has_upright_sizes(run: Run, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(folder / "turned.jpg", size=(90, 40), exif=exif)
    run("catalog_import", folder)
    assert ProductImage.objects.values_list("width", "height").get() == (40, 90)


def test_a_second_run_changes_nothing(run: Run, folder: Path) -> None:
    for i in range(3):
        draw(folder / "mugs" / f"mug {i}.jpg", (i * 40, 0, 0))
    run("catalog_import", folder)
    before = list(ProductImage.objects.values())
    files = sorted(p.name for p in Path(default_storage.location).rglob("*.jpg"))
    ran = run("catalog_import", folder)
    assert ran.counts == "0 created, 0 updated, 3 unchanged, 0 failed; 0 new products."
    assert "reindex" not in ran.out
    assert list(ProductImage.objects.values()) == before
    assert sorted(p.name for p in Path(default_storage.location).rglob("*.jpg")) == files


def test_only_the_changed_file_is_replaced_and_queued(
    run: Run, folder: Path, queue: Any, django_capture_on_commit_callbacks: Any
) -> None:
    draw(folder / "mugs" / "same.jpg", RED)
    changing = draw(folder / "mugs" / "changing.jpg", RED)
    with django_capture_on_commit_callbacks(execute=True):
        run("catalog_import", folder)
    assert queue.tasks == [], "new images are left to visualsearch_reindex --missing"
    old = ProductImage.objects.get(origin=str(changing))
    draw(changing, BLUE, size=(50, 20))
    with django_capture_on_commit_callbacks(execute=True):
        ran = run("catalog_import", folder)
    assert ran.counts == "0 created, 1 updated, 1 unchanged, 0 failed; 0 new products."
    new = ProductImage.objects.get(origin=str(changing))
    assert (new.pk, new.width, new.height) == (old.pk, 50, 20)
    assert new.image.name != old.image.name
    with default_storage.open(new.image.name) as file:
        assert file.read() == changing.read_bytes()
    assert not default_storage.exists(old.image.name), "the replaced copy is removed"
    assert len(queue.tasks) == 1


def test_a_changed_file_of_the_same_size_is_noticed(run: Run, folder: Path) -> None:
    path = draw(folder / "a.bmp", RED)
    run("catalog_import", folder)
    stat = path.stat()
    draw(path, BLUE)
    os.utime(path, (stat.st_atime, stat.st_mtime))
    assert path.stat().st_size == stat.st_size
    assert run("catalog_import", folder).counts.startswith("0 created, 1 updated")


def test_a_copy_that_is_gone_is_made_again(run: Run, folder: Path) -> None:
    draw(folder / "a.jpg")
    run("catalog_import", folder)
    image = ProductImage.objects.get()
    default_storage.delete(image.image.name)
    assert run("catalog_import", folder).counts.startswith("0 created, 1 updated")
    image.refresh_from_db()
    assert default_storage.exists(image.image.name)


def test_what_was_edited_in_the_shop_stays(run: Run, folder: Path) -> None:
    draw(folder / "mugs" / "a.jpg")
    run("catalog_import", folder)
    tea = Category.objects.create(name="Tea", slug="tea")
    Product.objects.update(title="My mug", price=Decimal("9.50"), stock=0, category=tea, sku="MY-OWN")
    assert run("catalog_import", folder).counts.startswith("0 created, 0 updated, 1 unchanged")
    product = Product.objects.get()
    assert (product.title, product.price, product.stock, product.category, product.sku) == (
        "My mug", Decimal("9.50"), 0, tea, "MY-OWN",
    )  # fmt: skip


def test_extensions_and_depth(run: Run, folder: Path) -> None:
    draw(folder / "a.jpg")
    draw(folder / "a.PNG")
    draw(folder / ".hidden.png")
    draw(folder / "one" / "b.png")
    draw(folder / "one" / "two" / "three" / "c.png")
    (folder / "notes.txt").write_text("no picture")
    assert run("catalog_import", folder, ext=".png").counts.startswith("2 created")
    ran = run("catalog_import", folder, ext=" PNG , jpg", recursive=True)
    assert ran.counts.startswith("2 created, 0 updated, 2 unchanged")
    assert sorted(Category.objects.values_list("name", flat=True)) == ["One", "Three", "Uncategorised"]


def test_unreadable_files_are_listed_and_the_rest_is_imported(run: Run, folder: Path) -> None:
    draw(folder / "good.jpg")
    (folder / "text.jpg").write_text("hello")
    (folder / "cut.jpg").write_bytes(draw(folder / "whole.png", size=(400, 400)).read_bytes()[:300])
    draw(folder / "tiny.png", size=(4, 4))
    (folder / "empty.png").touch()
    ran = run("catalog_import", folder)
    assert ran.status == 1
    assert ran.sentence == "4 files failed, for the reasons above."
    assert ran.counts == "2 created, 0 updated, 0 unchanged, 4 failed; 2 new products."
    reasons = dict(line.split(": ", 1) for line in ran.err.strip().splitlines())
    assert {name: reason.rpartition("[")[2] for name, reason in reasons.items()} == {
        "text.jpg": "not_an_image]",
        "cut.jpg": "truncated_image]",
        "tiny.png": "image_too_small]",
        "empty.png": "not_an_image]",
    }
    assert Product.objects.count() == 2
    assert run("catalog_import", folder).counts == "0 created, 0 updated, 2 unchanged, 4 failed; 0 new products."


def test_a_file_too_large_is_refused_without_reading_it_all(run: Run, folder: Path, use_settings: Any) -> None:
    use_settings(MAX_BYTES=2000)
    draw(folder / "a.bmp", size=(100, 100))
    ran = run("catalog_import", folder)
    assert "file_too_large" in ran.err
    assert not Product.objects.exists()


def test_a_file_we_may_not_read_is_a_failure(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(folder / "a.jpg")
    closed = draw(folder / "b.jpg")
    opened = Path.open

    def denied(self: Path, *args: Any, **options: Any) -> Any:
        if self == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", denied)
    ran = run("catalog_import", folder)
    assert ran.counts.startswith("1 created, 0 updated, 0 unchanged, 1 failed")
    assert ran.err.strip() == "b.jpg: the file cannot be read: Permission denied."


def test_links_that_lead_outside_are_refused(run: Run, folder: Path) -> None:
    secret = draw(folder.parent / "elsewhere" / "secret.jpg")
    (folder / "link.jpg").symlink_to(secret)
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "linked").symlink_to(secret.parent)
    draw(folder / "own.jpg")
    (folder / "inside.jpg").symlink_to(folder / "own.jpg")
    ran = run("catalog_import", folder)
    assert ran.counts.startswith("2 created")
    assert "link.jpg: the link leads outside of the folder." in ran.err
    assert "dangling.jpg: the link leads nowhere." in ran.err
    assert "linked: a link to a folder is not followed." in ran.err


@pytest.mark.parametrize("name", [b"umlaut-\xe4.jpg", b"\xff\xfe.png"])
def test_a_name_that_is_not_utf8_is_a_failure(run: Run, folder: Path, name: bytes) -> None:
    draw(folder / "good.jpg")
    shutil.copy(os.fsencode(folder / "good.jpg"), os.fsencode(folder) + b"/" + name)
    ran = run("catalog_import", folder)
    assert ran.counts.startswith("1 created, 0 updated, 0 unchanged, 1 failed")
    assert "its name is not valid UTF-8." in ran.err


@pytest.mark.parametrize(
    ("prepare", "options", "sentence"),
    [
        (lambda f: shutil.rmtree(f), {}, "There is no folder {0}."),
        (lambda f: (shutil.rmtree(f), f.touch()), {}, "{0} is not a folder."),
        (lambda f: None, {}, "The folder {0} is empty."),
        (lambda f: (f / "a.txt").touch(), {"ext": "jpg"},
         "There is no image (jpg) in {0}; --recursive looks further down than its sub-folders."),
        (lambda f: (f / "a.txt").touch(), {"ext": "jpg,png", "recursive": True},
         "There is no image (jpg, png) in {0}."),
        (lambda f: None, {"ext": " ,."}, "--ext ' ,.' names no extension; for example: --ext jpg,png"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_imported(
    run: Run, folder: Path, prepare: Callable[[Path], Any], options: dict[str, Any], sentence: str
) -> None:
    prepare(folder)
    ran = run("catalog_import", folder, **options)
    assert (ran.status, ran.sentence) == (1, sentence.format(folder))


def test_dry_run_changes_nothing_and_says_what_would_happen(run: Run, folder: Path) -> None:
    changing = draw(folder / "mugs" / "a.jpg", RED)
    draw(folder / "mugs" / "b.jpg", GREEN)
    run("catalog_import", folder)
    draw(changing, BLUE)
    draw(folder / "vases" / "c.jpg", GREEN)
    (folder / "bad.jpg").write_text("bad")
    tables = [list(model.objects.order_by("pk").values()) for model in (Category, Product, ProductImage)]
    files = sorted(Path(default_storage.location).rglob("*"))
    ran = run("catalog_import", folder, dry_run=True)
    assert tables == [list(model.objects.order_by("pk").values()) for model in (Category, Product, ProductImage)]
    assert files == sorted(Path(default_storage.location).rglob("*"))
    lines = ran.out.splitlines()
    assert any(line.startswith("update mugs/a.jpg: MUGS-") and line.endswith(" picture") for line in lines)
    assert any(line.startswith("create vases/c.jpg: VASES-") and line.endswith("'C', Vases") for line in lines)
    assert lines[-1] == ("Dry run, nothing was changed: 1 created, 1 updated, 1 unchanged, 1 failed; 1 new products.")
    assert ran.status == 1


def test_two_folders_with_equal_names_are_kept_apart(run: Run, folder: Path, tmp_path: Path) -> None:
    draw(folder / "mugs" / "1.jpg", RED)
    other = draw(tmp_path / "more" / "mugs" / "1.jpg", BLUE)
    run("catalog_import", folder)
    ran = run("catalog_import", other.parent.parent)
    assert ran.counts == "1 created, 0 updated, 0 unchanged, 0 failed; 1 new products."


def test_a_storage_that_is_full_says_so_and_leaves_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(folder / "a.jpg", RED)
    draw(folder / "b.jpg", BLUE)
    save = FileSystemStorage.save

    def full(self: FileSystemStorage, name: str, content: Any, max_length: int | None = None) -> str:
        if stored():
            raise OSError(28, "No space left on device")
        return save(self, name, content, max_length=max_length)

    monkeypatch.setattr(FileSystemStorage, "save", full)
    ran = run("catalog_import", folder)
    assert (ran.status, ran.sentence) == (1, "b.jpg cannot be stored: No space left on device.")
    assert not Product.objects.exists()
    assert not stored(), "the file that was stored is removed"


def stored() -> list[Path]:
    return [path for path in Path(default_storage.location).rglob("*") if path.is_file()]


def test_many_files_need_few_queries(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(rows, "BATCH_PRODUCTS", 20)
    for i in range(60):
        draw(folder / "many" / f"{i}.png", (i * 4, 0, 0), size=(16, 16))
    with django_assert_max_num_queries(3 * 10):
        ran = run("catalog_import", folder)
    assert ran.counts == "60 created, 0 updated, 0 unchanged, 0 failed; 60 new products."
    with django_assert_max_num_queries(3 * 10):
        ran = run("catalog_import", folder)
    assert ran.counts.startswith("0 created, 0 updated, 60 unchanged")


def test_batches_are_bounded_by_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from catalog.importing import batches, plan

    for i in range(6):
        draw(folder / f"{i}.bmp", size=(40, 40))
    monkeypatch.setattr(rows, "BATCH_BYTES", 2 * (folder / "0.bmp").stat().st_size)
    groups, failures = plan(folder)
    assert failures == []
    assert [len(batch) for batch in batches(groups)] == [2, 2, 2]


def test_real_photographs(run: Run, clothing: list[Path]) -> None:
    ran = run("catalog_import", clothing[0].parent)
    assert ran.status == 0
    assert ran.counts.startswith(f"{len(list(clothing[0].parent.glob('*.jpg')))} created")
    assert all(image.width and image.height for image in ProductImage.objects.all())
