"""Index versions: read-only, with counts and whether they are quick to search."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import shelf
from tests.admin.conftest import Shelves, replace_file, staff
from tests.admin.pages import actions, cells
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores import get_store

VERSIONS = "/admin/visualsearch/visualindex/"


def counts(page: Any) -> list[tuple[str, str, str]]:
    columns = (cells(page, name) for name in ("indexed", "pending", "failed"))
    return list(zip(*columns, strict=True))


def test_a_version_and_its_counts(boss: Client, shelves: Shelves) -> None:
    page = boss.get(VERSIONS)
    index = VisualIndex.objects.get()
    assert cells(page, "version") == [str(index.pk)]
    assert cells(page, "state") == ["active"]
    assert cells(page, "dimensions") == ["64"]
    assert cells(page, "encoder_and_fingerprint") == [
        f"visualsearch.testing.FakeEncoder fa4efa4efa4e [{index.fingerprint}]"
    ]
    assert counts(page) == [("4", "2", "2")]


def test_a_replaced_file_is_pending(boss: Client, shelves: Shelves) -> None:
    replace_file(shelves.whole.images.first(), shelf.picture("blue"))
    replace_file(shelves.broken.images.get(), shelf.picture("blue"))
    assert counts(boss.get(VERSIONS)) == [("3", "4", "1")]


def test_a_retired_version_counts_its_rows(boss: Client, shelves: Shelves) -> None:
    replace_file(shelves.whole.images.first(), shelf.picture("blue"))
    VisualIndex.objects.update(state=VisualIndex.State.RETIRED)
    assert counts(boss.get(VERSIONS)) == [("4", "0", "2")]


def test_the_hnsw_index_is_shown(boss: Client, shelves: Shelves) -> None:
    index = VisualIndex.objects.get()
    assert "icon-yes" in hnsw_cell(boss)
    get_store().drop(index)
    assert "icon-no" in hnsw_cell(boss)


def hnsw_cell(client: Client) -> str:
    found = re.search(r'class="field-has_hnsw_index">(.*?)</td>', client.get(VERSIONS).content.decode())
    assert found
    return found[1]


def test_the_detail_page_is_read_only(boss: Client, shelves: Shelves) -> None:
    index = VisualIndex.objects.get()
    page = boss.get(f"{VERSIONS}{index.pk}/change/")
    assert page.status_code == 200
    assert index.fingerprint in page.content.decode()
    assert boss.post(f"{VERSIONS}{index.pk}/change/", {"state": "retired"}).status_code == 403
    assert boss.get(f"{VERSIONS}add/").status_code == 403
    assert boss.get(f"{VERSIONS}{index.pk}/delete/").status_code == 403
    assert actions(boss.get(VERSIONS)) == []


def test_a_version_of_a_source_that_is_gone(boss: Client, shelves: Shelves) -> None:
    VisualIndex.objects.update(source="shoes")
    assert counts(boss.get(VERSIONS)) == [("4", "0", "2")]


@pytest.mark.parametrize("more", [1, 4])
def test_the_rows_of_all_versions_are_counted_at_once(boss: Client, shelves: Shelves, more: int) -> None:
    for number in range(more):
        retired = {"encoder": "e", "fingerprint": "f", "dimensions": 64, "state": VisualIndex.State.RETIRED}
        index = VisualIndex.objects.create(source="product", **retired)
        ImageEmbedding.objects.create(index=index, object_id=str(number), state=ImageEmbedding.State.INDEXED)
    with CaptureQueriesContext(connection) as seen:
        page = boss.get(VERSIONS)
    counted = [query["sql"] for query in seen if 'FROM "visualsearch_imageembedding"' in query["sql"]]
    assert len(counted) == 1
    assert counts(page) == [*[("1", "0", "0")] * more, ("4", "2", "2")]


def test_without_permission_there_is_no_page(shelves: Shelves) -> None:
    assert staff("visualsearch.view_imageembedding").get(VERSIONS).status_code == 403
