"""After a seed or an import, ``visualsearch_reindex --missing`` or the queue leave exactly the true rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command

from catalog import seeding
from catalog.drawing.assortment import assortment
from catalog.models import ProductImage
from tests.catalog.conftest import BLUE, GREEN, RED, draw, write_csv
from visualsearch.images import content_hash
from visualsearch.models import ImageEmbedding


@pytest.fixture(autouse=True)
def _colours_and_queue(transactional_db: None, fake_encoder: None, queue: Any) -> None:
    """Real commits, colours for vectors, tasks that run when the test says so."""


def reindex_missing() -> None:
    call_command("visualsearch_reindex", missing=True, sync=True, stdout=io.StringIO(), stderr=io.StringIO())


def assert_true_rows() -> None:
    images = {str(image.pk): image for image in ProductImage.objects.all()}
    rows = {row.object_id: row for row in ImageEmbedding.objects.all()}
    assert set(rows) == set(images)
    for key, row in rows.items():
        with default_storage.open(images[key].image.name) as file:
            assert (row.state, row.content_hash) == ("indexed", content_hash(file.read())), row.reason


def test_an_import_and_its_changes(folder: Path, queue: Any) -> None:
    first = draw(folder / "mugs" / "a.jpg", RED)
    draw(folder / "mugs" / "b.jpg", GREEN)
    call_command("catalog_import", folder, stdout=io.StringIO())
    assert queue.tasks == []
    reindex_missing()
    assert ImageEmbedding.objects.count() == 2
    assert_true_rows()

    draw(first, BLUE)
    draw(folder / "mugs" / "c.jpg", BLUE)
    call_command("catalog_import", folder, stdout=io.StringIO())
    queue.run()
    assert ImageEmbedding.objects.filter(state="indexed").count() == 2, "the changed image came by the queue"
    reindex_missing()
    assert ImageEmbedding.objects.count() == 3
    assert_true_rows()


def test_an_image_that_moves_to_another_product_keeps_its_vector(folder: Path, queue: Any) -> None:
    draw(folder / "a.jpg", RED)
    draw(folder / "b.jpg", GREEN)
    call_command(
        "catalog_import", folder, csv=write_csv(folder, "a.jpg,,P-1,,,", "b.jpg,,P-1,,,"), stdout=io.StringIO()
    )
    reindex_missing()
    times = dict(ImageEmbedding.objects.values_list("object_id", "indexed_at"))
    call_command(
        "catalog_import", folder, csv=write_csv(folder, "a.jpg,,P-1,,,", "b.jpg,,P-2,,,"), stdout=io.StringIO()
    )
    queue.run()
    assert dict(ImageEmbedding.objects.values_list("object_id", "indexed_at")) == times
    assert_true_rows()


def test_a_seed_whose_files_were_lost(queue: Any) -> None:
    items = assortment()[:2]
    list(seeding.seed(items))
    reindex_missing()
    assert_true_rows()
    for name in ProductImage.objects.values_list("image", flat=True):
        default_storage.delete(name)
    call_command("visualsearch_reindex", all=True, force=True, stdout=io.StringIO(), stderr=io.StringIO())
    queue.run()
    assert not ImageEmbedding.objects.filter(state="indexed").exists(), "the loss was noticed"
    list(seeding.seed(items))
    queue.run()
    assert_true_rows()
