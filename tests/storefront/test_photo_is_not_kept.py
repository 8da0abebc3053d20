"""A customer's photo: nothing of it stays on disk, in the database or in a cache, and nobody may send too many."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, RequestFactory
from PIL import Image

from catalog.models import Product
from tests import shelf
from tests.storefront.test_search_pages import PHOTO, post
from visualsearch.views import PhotoView

MARK = b"PLACE-AND-TIME-OF-A-CUSTOMER"


def marked_photo() -> bytes:
    """A JPEG of more bytes than Django holds in memory, which says in its header where it was taken."""
    exif = Image.Exif()
    exif[0x010E] = MARK.decode()
    file = io.BytesIO()
    Image.effect_noise((1900, 1900), 120).convert("RGB").save(file, "JPEG", quality=95, exif=exif)
    assert len(file.getvalue()) > 2.5 * 1024 * 1024
    return file.getvalue()


def stored_rows() -> Iterator[str]:
    """Every row of every table as text, bytes in hexadecimal."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            yield from (str(row) for (row,) in cursor.fetchall())


def files_below(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("address", [PHOTO, "/api/visualsearch/product/search/"], ids=["page", "api"])
def test_nothing_is_left(
    client: Client, products: list[Product], media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    photo = marked_photo()
    client.post(PHOTO, {"image": SimpleUploadedFile("first.jpg", shelf.picture())})  # thumbnails are made now
    before, rows = files_below(media, temporary), list(stored_rows())

    page = client.post(address, {"image": SimpleUploadedFile("photo.jpg", photo)})

    assert page.status_code == 200
    assert MARK not in page.content
    pieces = (MARK, photo[5000:5032])
    after = files_below(media, temporary)
    assert {path for path in after if path not in before and "q82" not in path.name} == set()  # product thumbnails
    assert not [path for path, content in after.items() if any(piece in content for piece in pieces)]
    told = list(stored_rows())
    assert not [row for row in told if any(piece.hex() in row or piece.decode("latin1") in row for piece in pieces)]
    assert len([row for row in told if "fa4e" in row]) == len([row for row in rows if "fa4e" in row])
    kept: Any = getattr(cache, "_cache", {})
    assert not [value for value in kept.values() if any(piece in bytes(value) for piece in pieces)]


def test_page_writes_nothing_even_while_it_searches(
    client: Client, products: list[Product], settings: Any, tmp_path: Path
) -> None:
    """Django would write so large a file to FILE_UPLOAD_TEMP_DIR, which is not there."""
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "not there")
    assert post(client, marked_photo()).status_code == 200


def test_too_large_a_body_is_refused_unread(rf: RequestFactory, products: list[Product]) -> None:
    class Unread(io.RawIOBase):
        def read(self, *args: Any) -> bytes:
            raise AssertionError("The body was read.")

    request = rf.post(PHOTO, CONTENT_LENGTH=str(10**9), CONTENT_TYPE="multipart/form-data; boundary=x")
    request.META["wsgi.input"] = Unread()
    page = PhotoView.as_view()(request, source="product").render()
    assert page.status_code == 413
    assert "larger than 25 MB" in page.content.decode()


def test_rate_is_that_of_the_api_and_counted_with_it(
    client: Client, products: list[Product], use_settings: Any
) -> None:
    use_settings(PHOTO_RATE="2/min", SIMILAR_RATE="3/min")
    found = post(client, shelf.picture())
    image = {"image": SimpleUploadedFile("photo.png", shelf.picture())}
    assert client.post("/api/visualsearch/product/search/", image).status_code == 200
    refused = post(client, shelf.picture())
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert "many searches in a short time" in refused.content.decode()
    assert "no-store" in refused.headers["Cache-Control"]
    token = found.context["query"]  # needs no look at a picture, so its rate is another
    assert [client.post(PHOTO, {"query": token}).status_code for _ in range(4)] == [200, 200, 200, 429]
