"""Pictures of the right size, from the file itself or from easy-thumbnails."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from PIL import Image, ImageFile

from catalog.models import Product, ProductImage
from tests import shelf
from tests.goods.models import PosterScan
from visualsearch import presentation, thumbnails
from visualsearch.exceptions import MissingExtra
from visualsearch.thumbnails import ThumbnailError

pytestmark = pytest.mark.django_db


def image_file(content: bytes, name: str = "picture.jpg") -> Any:
    product = shelf.make_product()
    return ProductImage.objects.create(product=product, image=SimpleUploadedFile(name, content)).image


def opened(url: str, media: Path) -> Image.Image:
    return Image.open(media / url.removeprefix("/media/"))


def turned(size: tuple[int, int]) -> bytes:
    """A JPEG that says that it lies on its side."""
    image = Image.new("RGB", size, (10, 90, 200))
    exif = image.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_original_is_the_file_with_the_room_it_takes() -> None:
    file = image_file(shelf.picture(size=(800, 400), kind="JPEG"))
    assert thumbnails.original(file, 200) == (file.url, 200, 100)
    assert thumbnails.original(file, 2000) == (file.url, 800, 400)


def test_original_opens_no_file_where_the_model_knows_the_size(media: Path) -> None:
    file = image_file(shelf.picture(size=(800, 400), kind="JPEG"))
    Path(file.path).unlink()
    assert thumbnails.original(ProductImage.objects.get().image, 200)[1:] == (200, 100)


def test_original_of_a_plain_file_field() -> None:
    scan = PosterScan(key="a", scan=SimpleUploadedFile("scan.png", shelf.picture(size=(60, 90))))
    scan.scan.save("scan.png", scan.scan, save=False)
    assert thumbnails.original(scan.scan, 45) == (scan.scan.url, 30, 45)


@pytest.mark.parametrize("backend", ["original", "easy_thumbnails"])
@pytest.mark.parametrize("fault", ["gone", "no picture", "empty"])
def test_what_cannot_be_shown(backend: str, fault: str, use_settings: Any) -> None:
    use_settings(THUMBNAIL=f"visualsearch.thumbnails.{backend}")
    scan = PosterScan(key="a")
    if fault != "empty":
        scan.scan.save("scan.png", SimpleUploadedFile("scan.png", b"no picture"), save=False)
    if fault == "gone":
        Path(scan.scan.path).unlink()
    with pytest.raises(ThumbnailError):
        thumbnails.thumbnail(scan.scan, 100)


def test_easy_thumbnails_makes_a_smaller_copy(media: Path) -> None:
    file = image_file(shelf.picture(size=(800, 400), kind="JPEG"))
    made = thumbnails.easy_thumbnails(file, 200)
    assert made[1:] == (200, 100)
    with opened(made.url, media) as image:
        assert image.size == (200, 100)


def test_easy_thumbnails_turns_the_picture_up() -> None:
    assert thumbnails.easy_thumbnails(image_file(turned((800, 400))), 200)[1:] == (100, 200)


def test_easy_thumbnails_never_enlarges() -> None:
    assert thumbnails.easy_thumbnails(image_file(shelf.picture(size=(60, 30))), 200)[1:] == (60, 30)


def test_picture_made_before_costs_no_query() -> None:
    file = image_file(shelf.picture(size=(800, 400), kind="JPEG"))
    first = thumbnails.easy_thumbnails(file, 200)
    with CaptureQueriesContext(connection) as captured:
        assert thumbnails.easy_thumbnails(file, 200) == first
    assert len(captured) == 0


def test_pillow_s_global_switch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it on, a damaged photo that another thread reads at that moment would pass for a whole one."""
    switched: list[bool] = []
    real = thumbnails.open_image
    monkeypatch.setattr(
        thumbnails,
        "open_image",
        lambda *a, **k: (switched.append(ImageFile.LOAD_TRUNCATED_IMAGES), real(*a, **k))[1],
    )
    thumbnails.easy_thumbnails(image_file(shelf.picture(size=(800, 400), kind="JPEG")), 200)
    assert switched == [False]


def test_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "easy_thumbnails.files", None)
    with pytest.raises(MissingExtra, match=r'pip install "django-visualsearch\[thumbnails\]"'):
        thumbnails.easy_thumbnails(image_file(shelf.picture()), 200)


def test_missing_tables_do_not_poison_the_transaction() -> None:
    file = image_file(shelf.picture(size=(800, 400), kind="JPEG"))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE easy_thumbnails_source RENAME TO elsewhere")
        with pytest.raises(ThumbnailError, match="does not exist"):
            thumbnails.easy_thumbnails(file, 200)
        assert Product.objects.count() == 1
        cursor.execute("ALTER TABLE elsewhere RENAME TO easy_thumbnails_source")


def test_sharper_file_only_where_there_is_one(use_settings: Any) -> None:
    large = image_file(shelf.picture(size=(800, 800), kind="JPEG"))
    small = image_file(shelf.picture(size=(120, 120)))
    shown = presentation.picture(large, 200)
    assert (shown.width, shown.height) == (200, 200)
    assert "400x400" in shown.srcset
    assert shown.srcset.endswith(" 2x")
    assert presentation.picture(small, 200).srcset == ""
    assert presentation.picture(small, 120).srcset == ""
    use_settings(THUMBNAIL="visualsearch.thumbnails.original")
    assert presentation.picture(large, 200).srcset == ""


def test_a_shop_s_own_function(use_settings: Any) -> None:
    use_settings(THUMBNAIL="tests.storefront.test_thumbnails.from_a_service")
    assert presentation.picture(image_file(shelf.picture()), 50).srcset == "https://img.example/100 2x"


def from_a_service(file: Any, side: int) -> thumbnails.Thumbnail:
    return thumbnails.Thumbnail(f"https://img.example/{side}", side, side)


def test_thumbnail_that_another_request_is_writing_is_waited_for(
    media: Path, use_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(THUMBNAIL="visualsearch.thumbnails.easy_thumbnails")
    monkeypatch.setattr(thumbnails, "WAITS", [0.05] * 200)  # however slowly the other one gets on
    file = image_file(shelf.picture(size=(400, 200), kind="JPEG"))
    path = media / thumbnails.thumbnail(file, 100).url.removeprefix("/media/")
    whole = path.read_bytes()
    path.write_bytes(b"")
    writer = threading.Timer(0.1, path.write_bytes, [whole])
    writer.start()
    assert thumbnails.thumbnail(file, 100)[1:] == (100, 50)
    writer.join()
