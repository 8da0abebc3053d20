"""Rows of the index: read, filter, search, retry; never the vector."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import ProductImage
from tests import shelf
from tests.admin.conftest import Shelves, replace_file, staff
from tests.admin.pages import actions, cells, messages
from tests.goods import sources as goods
from tests.goods.models import Poster, PosterScan
from visualsearch.models import ImageEmbedding, VisualIndex

ROWS = "/admin/visualsearch/imageembedding/"
LOOK, RETRY = "visualsearch.view_imageembedding", "visualsearch.change_imageembedding"


def row_of(image: ProductImage) -> ImageEmbedding:
    return ImageEmbedding.objects.defer("vector").get(object_id=str(image.pk))


def change_page(row: ImageEmbedding) -> str:
    return f"{ROWS}{row.pk}/change/"


def press(client: Client, *rows: ImageEmbedding) -> Any:
    return client.post(ROWS, {"action": "retry_selected", "_selected_action": [row.pk for row in rows]})


def test_a_row_says_what_it_is_of_and_how_it_went(boss: Client, shelves: Shelves) -> None:
    image = shelves.broken.images.get()
    page = boss.get(f"{ROWS}?q={image.pk}")
    assert cells(page, "image") == [f"Broken (1) ({image.pk})"]
    assert f'href="/admin/catalog/productimage/{image.pk}/change/"' in page.content.decode()
    refusal = "The file is not an image of a known format."
    assert cells(page, "present_state") == [f"failed [{refusal}]"]
    assert cells(page, "short_reason") == [f"{refusal} not_an_image [{refusal}]"]
    assert cells(page, "attempts") == ["1"]
    version = VisualIndex.objects.get()
    assert cells(page, "version") == [f"{version.pk} (active)"]
    assert cells(page, "source") == ["product"]


def test_the_picture_is_a_small_one(boss: Client, shelves: Shelves) -> None:
    image = shelves.whole.images.first()
    image.image = shelf.upload(shelf.picture(size=(400, 200)))
    image.save()
    html = boss.get(f"{ROWS}?q={image.pk}").content.decode()
    assert re.search(
        r'<img src="[^"]+\.60x60[^"]+" width="60" height="30" alt="Whole \(1\) \(\d+\)" loading="lazy">', html
    )


def test_a_file_that_is_no_picture_does_not_cost_the_page(boss: Client, shelves: Shelves) -> None:
    row = row_of(shelves.broken.images.get())
    assert cells(boss.get(f"{ROWS}?q={row.object_id}"), "thumbnail") == [f"- [{row.reason}]"]
    ImageEmbedding.objects.filter(pk=row.pk).update(state=ImageEmbedding.State.PENDING)
    (shown,) = cells(boss.get(f"{ROWS}?q={row.object_id}"), "thumbnail")
    assert re.fullmatch(r"- \[products/.+not an image of a known format.*\]", shown)


def test_the_detail_page_is_read_only(boss: Client, shelves: Shelves) -> None:
    row = row_of(shelves.broken.images.get())
    page = boss.get(change_page(row))
    html = page.content.decode()
    assert page.status_code == 200
    assert "The file is not an image of a known format." in html
    assert '<a href="/admin/catalog/productimage/' in html
    form = html[html.index('id="imageembedding_form"') :]
    assert set(re.findall(r"<(?:input|select|textarea) [^>]*?type=.(\w+)", form)) <= {"hidden"}
    assert boss.post(change_page(row), {"state": "indexed"}).status_code == 403
    assert boss.get(f"{ROWS}add/").status_code == 403
    assert boss.get(f"{ROWS}{row.pk}/delete/").status_code == 403
    assert actions(boss.get(ROWS)) == ["retry_selected"]


def test_the_vector_is_never_read(boss: Client, shelves: Shelves) -> None:
    row = row_of(shelves.whole.images.first())
    with CaptureQueriesContext(connection) as seen:
        assert boss.get(ROWS).status_code == 200
        assert boss.get(change_page(row)).status_code == 200
        press(boss, row)
    asked = [query["sql"] for query in seen if "imageembedding" in query["sql"]]
    assert asked
    assert not any('"vector"' in sql for sql in asked)


def test_a_longer_page_costs_no_more_queries(boss: Client, shelves: Shelves) -> None:
    def count() -> int:
        assert boss.get(ROWS).status_code == 200  # makes the thumbnails
        with CaptureQueriesContext(connection) as seen:
            assert boss.get(ROWS).status_code == 200
        return len(seen)

    few = count()
    for number in range(8):
        shelf.make_product(shelf.picture(shelf.shade(number)))
    shelf.index_everything()
    assert count() == few <= 12


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("state=failed", {"Part", "Broken"}),
        ("state=pending", set()),
        ("state=indexed", {"Whole", "Part"}),
        ("state=nonsense", {"Whole", "Part", "Broken"}),
        ("code=not_an_image", {"Part", "Broken"}),
        ("code=file_missing", set()),
        ("index__source=product", {"Whole", "Part", "Broken"}),
        ("index__source=other", set()),
    ],
)
def test_filters(boss: Client, shelves: Shelves, query: str, titles: set[str]) -> None:
    page = boss.get(f"{ROWS}?{query}")
    assert page.status_code == 200
    assert {name.split()[0] for name in cells(page, "image")} == titles


def test_codes_offered_are_those_that_occur(boss: Client, shelves: Shelves) -> None:
    html = boss.get(ROWS).content.decode()
    assert re.findall(r'href="\?code=(\w+)">([^<]+)<', html) == [("not_an_image", "not an image")]


def test_a_row_of_another_file_is_pending(boss: Client, shelves: Shelves) -> None:
    image = shelves.whole.images.first()
    replace_file(image, shelf.picture("blue"))
    assert cells(boss.get(f"{ROWS}?state=pending"), "present_state") == ["pending [It has a new file.]"]
    assert len(cells(boss.get(f"{ROWS}?state=indexed"), "image")) == 3
    assert cells(boss.get(f"{ROWS}?q={image.pk}&state=failed"), "image") == []


def test_a_row_whose_image_is_gone_is_pending_until_a_retry_removes_it(
    boss: Client, shelves: Shelves, queue: Any
) -> None:
    image = shelves.whole.images.first()
    row = row_of(image)
    ProductImage.objects.filter(pk=image.pk)._raw_delete("default")  # no signal, as in plain SQL
    page = boss.get(f"{ROWS}?state=pending")
    gone = "The image is gone; a retry removes this row."
    assert cells(page, "present_state") == [f"pending [{gone}]"]
    assert cells(page, "image") == [str(image.pk)]
    press(boss, row)
    queue.run()
    assert not ImageEmbedding.objects.filter(pk=row.pk).exists()


def test_a_retired_version_is_left_as_it_was(boss: Client, shelves: Shelves) -> None:
    replace_file(shelves.whole.images.first(), shelf.picture("blue"))
    VisualIndex.objects.update(state=VisualIndex.State.RETIRED)
    assert cells(boss.get(f"{ROWS}?state=pending"), "image") == []
    page = boss.get(f"{ROWS}?q={shelves.whole.images.first().pk}")
    assert cells(page, "present_state") == ["indexed"]


def test_retry_queues_each_image_once(boss: Client, shelves: Shelves, queue: Any) -> None:
    image = shelves.broken.images.get()
    other = VisualIndex.objects.create(source="product", encoder="e", fingerprint="f", dimensions=64)
    twin = ImageEmbedding.objects.create(index=other, object_id=str(image.pk))
    response = press(boss, row_of_active(image), twin)
    assert messages(response) == [("success", "1 image is queued to be indexed.")]
    assert [task.args for task in queue.take()] == [("product", [str(image.pk)], True)]


def row_of_active(image: ProductImage) -> ImageEmbedding:
    return ImageEmbedding.objects.get(object_id=str(image.pk), index__state=VisualIndex.State.ACTIVE)


def test_retry_after_the_file_was_repaired_in_place(boss: Client, shelves: Shelves, queue: Any) -> None:
    image = shelves.broken.images.get()
    with image.image.storage.open(image.image.name, "wb") as file:
        file.write(shelf.picture("red"))
    press(boss, row_of(image))
    queue.run()
    assert row_of(image).state == ImageEmbedding.State.INDEXED


def test_rows_of_a_source_that_is_gone(boss: Client, shelves: Shelves, queue: Any) -> None:
    VisualIndex.objects.update(source="shoes")
    page = boss.get(ROWS)
    assert page.status_code == 200
    assert "No source of this name is registered." in page.content.decode()
    response = press(boss, row_of(shelves.broken.images.get()))
    assert messages(response) == [("warning", "There is no image to index in this selection.")]
    assert queue.take() == []


def test_retry_needs_its_permission(shelves: Shelves, queue: Any) -> None:
    clerk = staff(LOOK)
    page = clerk.get(ROWS)
    assert page.status_code == 200
    assert actions(page) == []
    press(clerk, row_of(shelves.broken.images.get()))
    assert queue.take() == []
    assert "/admin/catalog/" not in page.content.decode(), "no link to a page that would be refused"


def test_staff_with_the_permission_may_retry(shelves: Shelves, queue: Any) -> None:
    clerk = staff(RETRY)
    assert actions(clerk.get(ROWS)) == ["retry_selected"]
    press(clerk, row_of(shelves.broken.images.get()))
    assert len(queue.take()) == 1


def test_without_permission_there_is_no_page(shelves: Shelves) -> None:
    assert staff("catalog.view_product").get(ROWS).status_code == 403


def test_keys_of_other_types(boss: Client, queue: Any) -> None:
    """Text keys that cannot be numbers, in an admin that knows neither the image's model nor the product's."""
    with goods.registered() as (_, posters):
        scan = PosterScan.objects.create(key="a/b_1", poster=Poster.objects.create(code="P"), scan=shelf.upload(b"no"))
        ImageEmbedding.objects.all().delete()
        shelf.index_everything(posters)
        shelf.make_product(shelf.picture())
        shelf.index_everything()
        page = boss.get(f"{ROWS}?q=a/b_1&state=failed")
        assert cells(page, "image") == [f"a/b_1 ({scan.key})"]
        assert len(cells(boss.get(ROWS), "image")) == 2


def test_a_search_of_several_words_finds_nothing_and_breaks_nothing(boss: Client, shelves: Shelves) -> None:
    assert cells(boss.get(f"{ROWS}?q=1+2"), "image") == []
