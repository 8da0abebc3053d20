"""POST search: a photo in, products out; and all that is no photo."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from catalog.models import Product
from tests import shelf
from visualsearch.api.views import FORM_OVERHEAD, SearchView
from visualsearch.exceptions import EncoderNotBuilt
from visualsearch.models import VisualIndex

pytestmark = pytest.mark.django_db
ADDRESS = "/api/visualsearch/product/search/"


def photo(content: bytes, name: str = "photo.jpg", kind: str = "image/jpeg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type=kind)


def red() -> SimpleUploadedFile:
    return photo(shelf.picture(shelf.shade(0), kind="JPEG"))


def send(api: APIClient, address: str = ADDRESS, **fields: Any) -> Any:
    return api.post(address, fields, format="multipart")


def found(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [result["product"]["id"] for result in response.json()["results"]]


def test_a_photo_finds_its_products(api: APIClient, rainbow: list[Product]) -> None:
    response = send(api, image=red(), limit=2)
    assert found(response) == [rainbow[0].pk, rainbow[1].pk]
    assert response.json()["state"] == "ready"
    assert response.json()["results"][0]["score"] > 99
    assert response.json()["results"][0]["distance"] < 0.01
    assert response.json()["results"][0]["image"]["url"].startswith("http://testserver/media/products/")


def test_limit_and_filters_in_the_address_and_in_the_form(api: APIClient, rainbow: list[Product]) -> None:
    Product.objects.filter(pk__in=[rainbow[5].pk, rainbow[6].pk]).update(colour="teal")
    Product.objects.filter(pk=rainbow[8].pk).update(colour="rust")
    teal = [rainbow[5].pk, rainbow[6].pk]
    assert found(send(api, image=red(), colour="teal")) == teal
    assert found(send(api, f"{ADDRESS}?colour=teal", image=red())) == teal
    assert found(send(api, f"{ADDRESS}?colour=teal", image=red(), colour="rust")) == [*teal, rainbow[8].pk]
    assert found(send(api, f"{ADDRESS}?colour=teal&limit=1", image=red())) == teal[:1]
    assert found(send(api, f"{ADDRESS}?limit=7", image=red(), limit=2)) == [rainbow[0].pk, rainbow[1].pk]


def test_a_page_has_one_query(api: APIClient, rainbow: list[Product], django_assert_num_queries: Any) -> None:
    """One to know which version is active, one for the page."""
    for limit in (1, 12):
        with django_assert_num_queries(2):
            send(api, image=red(), limit=limit)


def test_a_photo_before_anything_is_indexed(api: APIClient) -> None:
    answer = send(api, image=red()).json()
    assert (answer["state"], answer["count"], answer["results"]) == ("pending", 0, [])
    assert answer["reason"]
    answer = send(api, image=red(), objects="true", focus="auto").json()
    assert (answer["state"], answer["objects"], answer["box"]) == ("pending", [], None)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 400, "image_required"),
        ({"image": "a text field"}, 400, "image_required"),
        ({"file": photo(shelf.picture())}, 400, "image_required"),
        ({"image": [photo(shelf.picture()), photo(shelf.picture())]}, 400, "one_image_only"),
        ({"image": photo(shelf.picture()), "mask": photo(shelf.picture())}, 400, "one_image_only"),
        ({"image": photo(b"")}, 400, "not_an_image"),
        ({"image": photo(b"just text, named .jpg")}, 400, "not_an_image"),
        ({"image": photo(b"<?php system($_GET['c']); ?>", "x.php.jpg")}, 400, "not_an_image"),
        ({"image": photo(shelf.picture(kind="JPEG")[:200])}, 400, "truncated_image"),
        ({"image": photo(shelf.picture(size=(4, 4)))}, 400, "image_too_small"),
        ({"image": photo(b"%PDF-1.7 pages")}, 415, "format_not_allowed"),
        ({"image": photo(shelf.picture()), "limit": "abc"}, 400, "invalid_limit"),
        ({"image": photo(shelf.picture()), "limit": "101"}, 400, "invalid_limit"),
        ({"image": photo(shelf.picture()), "size": "L"}, 400, "invalid_filter"),
        ({"image": photo(shelf.picture()), "price_min": "cheap"}, 400, "invalid_filter"),
        ({"image": photo(shelf.picture()), "price_min": "-1e400000"}, 400, "invalid_filter"),
    ],
)
def test_what_is_refused(
    api: APIClient, rainbow: list[Product], fields: dict[str, Any], status: int, code: str
) -> None:
    for parts in fields.values():
        for part in parts if isinstance(parts, list) else [parts]:
            if not isinstance(part, str):
                part.seek(0)  # the parameters are made once
    response = send(api, **fields)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) == {"code", "detail"}
    assert response["Cache-Control"] == "no-store"


def test_a_picture_of_too_many_pixels(api: APIClient, rainbow: list[Product], use_settings: Any) -> None:
    use_settings(MAX_PIXELS=40 * 39)
    response = send(api, image=photo(shelf.picture()))
    assert (response.status_code, response.json()["code"]) == (400, "too_many_pixels")


def test_the_content_counts_and_not_the_name(api: APIClient, rainbow: list[Product]) -> None:
    misnamed = photo(shelf.picture(shelf.shade(0)), "notes.txt", "text/plain")
    assert found(send(api, image=misnamed, limit=1)) == [rainbow[0].pk]
    hostile = photo(shelf.picture(shelf.shade(0)), "../../etc/passwd\r\nX: y", "image/../x")
    assert found(send(api, image=hostile, limit=1)) == [rainbow[0].pk]


def test_a_file_over_the_limit(api: APIClient, rainbow: list[Product], use_settings: Any) -> None:
    content = shelf.picture(kind="BMP")
    use_settings(MAX_BYTES=len(content))
    assert send(api, image=photo(content)).status_code == 200
    use_settings(MAX_BYTES=len(content) - 1)
    response = send(api, image=photo(content))
    assert (response.status_code, response.json()["code"]) == (413, "file_too_large")


class NeverRead(io.RawIOBase):
    """A body that must not be touched."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize("signed_in", [False, True])
def test_a_huge_body_is_refused_by_its_header(
    rainbow: list[Product], settings: Any, accept: str, signed_in: bool
) -> None:
    """Also where session authentication would read the form for its CSRF token."""
    client = Client(enforce_csrf_checks=True)
    if signed_in:
        client.force_login(User.objects.create_user("ann"))
    response = client.post(
        ADDRESS,
        headers={"accept": accept},
        **{
            "wsgi.input": NeverRead(),
            "CONTENT_LENGTH": str(25 * 1024**2 + FORM_OVERHEAD + 1),
            "CONTENT_TYPE": "multipart/form-data; boundary=x",
        },
    )
    assert response.status_code == 413
    if accept == "application/json":
        assert response.json()["code"] == "file_too_large"


@pytest.mark.parametrize(("length", "code"), [("", "image_required"), ("abc", "image_required"), ("-5", "parse_error")])
def test_lengths_that_are_none(api: APIClient, length: str, code: str) -> None:
    response = api.post(ADDRESS, content_type="multipart/form-data; boundary=x", CONTENT_LENGTH=length)
    assert (response.status_code, response.json()["code"]) == (400, code)


def test_a_body_in_chunks(api: APIClient) -> None:
    request = RequestFactory().post(ADDRESS, content_type="multipart/form-data; boundary=x")
    request.META.pop("CONTENT_LENGTH")
    request.META["HTTP_TRANSFER_ENCODING"] = "chunked"
    response = SearchView.as_view()(request, source="product").render()
    assert response.status_code == 411
    assert response.data["code"] == "length_required"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"hello"),
        ("application/octet-stream", b"\xff\xd8\xff"),
        ("application/xml", b"<image/>"),
    ],
)
def test_other_media_types(api: APIClient, kind: str, body: bytes) -> None:
    response = api.post(ADDRESS, data=body, content_type=kind)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("signed_in", [False, True])
def test_a_broken_form(signed_in: bool) -> None:
    """Session authentication reads the form first, for its CSRF token: the answer is the same."""
    client = Client(enforce_csrf_checks=True)
    token = "t" * 32
    client.cookies["csrftoken"] = token
    if signed_in:
        client.force_login(User.objects.create_user("ann"))
    response = client.post(
        ADDRESS, data=b"--x\r\nrubbish", content_type="multipart/form-data", headers={"x-csrftoken": token}
    )
    assert (response.status_code, response.json()["code"]) == (400, "parse_error")


def test_a_form_that_ends_early(api: APIClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n\xff\xd8\xff'
    response = api.post(ADDRESS, data=body, content_type="multipart/form-data; boundary=x")
    assert response.status_code == 400
    assert response.json()["code"] in {"image_required", "truncated_image"}


def test_too_many_fields(api: APIClient, rainbow: list[Product], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    response = send(api, image=red(), **{f"f{number}": "x" for number in range(20)})
    assert (response.status_code, response.json()["code"]) == (400, "parse_error")


def test_too_many_files(api: APIClient, rainbow: list[Product], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 3
    response = send(api, image=[red() for _ in range(5)])
    assert (response.status_code, response.json()["code"]) == (400, "parse_error")


def test_fields_that_are_too_large(api: APIClient, rainbow: list[Product], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    response = send(api, image=red(), colour="x" * 5000)
    assert (response.status_code, response.json()["code"]) == (413, "request_too_large")


def test_an_encoder_of_another_fingerprint(api: APIClient, rainbow: list[Product], caplog: Any) -> None:
    VisualIndex.objects.update(fingerprint="0" * 64)
    response = send(api, image=red())
    assert response.status_code == 503
    assert response.json() == {
        "code": "fingerprint_mismatch",
        "detail": "Visual search is not available at the moment.",
    }
    logged = [record for record in caplog.records if record.name.startswith("visualsearch")]
    assert [record.levelname for record in logged] == ["ERROR"]
    assert "fa4e" in logged[0].getMessage()  # those who run the shop learn which
    assert logged[0].exc_info is None


def test_an_encoder_that_is_not_built(api: APIClient, rainbow: list[Product], monkeypatch: Any, caplog: Any) -> None:
    def missing(index: VisualIndex) -> None:
        raise EncoderNotBuilt("/var/cache/shop/mobilenet.tflite is not there; run: manage.py visualsearch_encoder")

    monkeypatch.setattr("visualsearch.search.queries.encoder_of", missing)
    response = send(api, image=red())
    assert (response.status_code, response.json()["code"]) == (503, "encoder_not_built")
    assert b"/var/cache" not in response.content
    assert "/var/cache" in caplog.text


def test_a_source_that_is_none(api: APIClient) -> None:
    response = send(api, "/api/visualsearch/shoe/search/", image=red())
    assert (response.status_code, response.json()["code"]) == (404, "unknown_source")


def test_a_large_photo_is_kept_on_disk_and_not_in_memory(
    api: APIClient, rainbow: list[Product], monkeypatch: Any, tmp_path: Path, settings: Any
) -> None:
    """Over FILE_UPLOAD_MAX_MEMORY_SIZE the only copy in memory is the one that is decoded."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    settings.FILE_UPLOAD_TEMP_DIR = str(folder)
    seen: list[Any] = []
    monkeypatch.setattr(
        "visualsearch.api.views.search_by_image", lambda image, *args, **kwargs: seen.append(image) or _nothing()
    )
    send(api, image=photo(shelf.picture(size=(1200, 1200), kind="BMP")))
    assert Path(seen[0].temporary_file_path()).parent == folder
    assert not list(folder.iterdir())  # and is gone when the request is over


def _nothing() -> Any:
    from visualsearch.search import Results

    return Results()


def test_nothing_of_a_photo_is_stored(api: APIClient, rainbow: list[Product], media: Path) -> None:
    before = sorted(media.rglob("*"))
    assert send(api, image=red()).status_code == 200
    assert sorted(media.rglob("*")) == before
