"""The doctor in a shop that is well, and where version, index, memory, pictures or encoder are not."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from django.db import connection

from catalog.models import Product, ProductImage
from tests.doctor.conftest import CHECKS, examined
from tests.encoders.built import ensure_built
from tests.shelf import index_everything, make_product, product_source
from visualsearch import lifecycle
from visualsearch.doctor import files, plans
from visualsearch.encoders.model_file import BUNDLED_WEIGHTS
from visualsearch.management.commands import visualsearch_doctor
from visualsearch.models import ImageEmbedding, IndexedSource, QueueProbe, VisualIndex
from visualsearch.stores import Condition, get_store
from visualsearch.stores.pgvector import PgVectorStore, hnsw_name

Wrong = Callable[..., tuple[str, str]]


def test_all_is_well(shop: list[ProductImage]) -> None:
    out = StringIO()
    call_command("visualsearch_doctor", stdout=out)
    *lines, last = out.getvalue().splitlines()
    assert last == "All is well."
    assert [line.split()[:2] for line in lines] == [["OK", name] for name in CHECKS]
    text = out.getvalue()
    assert "product: version " in text
    assert "6 of 6 images indexed, 0 waiting, 0 failed." in text
    assert "PostgreSQL compares all 6 images in" in text
    assert "5 pictures were read in" in text
    assert "3 pictures encoded anew gave the stored vectors." in text
    assert "A task was queued and done in" in text
    assert not QueueProbe.objects.exists()


def test_wrong_arguments(shop: list[ProductImage], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="There is no source 'hats'"):
        call_command("visualsearch_doctor", "--source", "hats")
    with pytest.raises(CommandError, match="--timeout must be more than 0 seconds"):
        call_command("visualsearch_doctor", "--timeout", "0")
    monkeypatch.setattr(visualsearch_doctor, "all_sources", list)
    said, status = examined()
    assert (status, said["sources"]["said"]) == (1, "No source is registered, so there is nothing to search.")


def test_index_dropped_by_hand(shop: list[ProductImage], wrong: Wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    name = hnsw_name(VisualIndex.objects.get())
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {name}")
    said, todo = wrong("version")
    assert said == f"product: the database index {name} is missing, so each search compares all images."
    assert todo == "Run: manage.py visualsearch_reconcile --fix"
    with monkeypatch.context() as patch:  # as between two looks, or where the index is there and cannot be used
        patch.setattr(PgVectorStore, "condition", lambda store, index: Condition.READY)
        said, todo = wrong("search")
    assert said == f"product: searches cannot use the database index {name}, and compare all 6 images."
    assert "enable_indexscan" in todo
    call_command("visualsearch_reconcile", "--fix", stdout=StringIO(), stderr=StringIO())
    assert examined()[1] == 0


def test_nothing_indexed_paused_failed_and_hidden(shop: list[ProductImage], wrong: Wrong) -> None:
    IndexedSource.objects.update_or_create(pk="product", defaults={"paused_at": "2027-01-31T10:00Z"})
    Product.objects.update(is_published=False)
    said, status = examined()
    assert (status, said["version"]["verdict"], said["search"]["verdict"]) == (0, "advice", "advice")
    assert said["version"]["said"].endswith("Indexing is paused.")
    IndexedSource.objects.all().delete()
    make_product(b"no picture")
    index_everything()
    assert examined()[0]["version"]["todo"].startswith("Failed: 1 not_an_image. ")
    VisualIndex.objects.all().delete()
    assert wrong("version") == (
        "product: nothing is indexed yet; the shop has 7 images.",
        "Run: manage.py visualsearch_reindex",
    )
    ProductImage.objects.all().delete()
    said, status = examined()
    assert (status, said["version"]["verdict"]) == (0, "advice")


def test_planner_that_is_much_slower_than_the_index(
    shop: list[ProductImage], wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six images are rightly compared; were the index much quicker, it would be said, as where one of both hangs."""
    monkeypatch.setattr(plans, "FEW", 0)
    monkeypatch.setattr(plans, "QUICK_MS", 0.0)
    monkeypatch.setattr(plans, "TIMES", 0.0)
    said, todo = wrong("search")
    assert said.startswith("product: PostgreSQL compares all 6 images in ")
    assert todo.startswith("Run in the database: ANALYZE; ")
    monkeypatch.setattr(plans, "_timed", lambda query, settings: (5.0, 6) if settings else (None, 0))
    said, _ = wrong("search")
    assert said == "product: PostgreSQL compares all 6 images in more than 10 s; by the index it takes 5 ms."


def test_many_images_are_searched_by_the_index(shop: list[ProductImage]) -> None:
    """So many that PostgreSQL does not rather compare all."""
    index = VisualIndex.objects.get()
    crowd(index, 6_000)
    said, _ = examined()
    assert said["search"]["said"].startswith(f"product: searches use the database index {hnsw_name(index)}; one took ")
    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '1MB'")
    memory = examined()[0]["memory"]
    connection.close()
    assert memory["verdict"] == "advice"
    assert "needs 8.8 MB of memory while it is built, and maintenance_work_mem is 1 MB" in memory["said"]
    assert 'PGOPTIONS="-c maintenance_work_mem=64MB" manage.py visualsearch_index build --sync' in memory["todo"]


def crowd(index: VisualIndex, count: int) -> None:
    """Rows with random vectors, of images of one file, made by the database; the graph is built at once."""
    get_store().drop(index)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_productimage (product_id, image, width, height, position, origin, digest)"
            " SELECT product_id, image, 40, 40, n, '', '' FROM"
            " (SELECT * FROM catalog_productimage ORDER BY id LIMIT 1) one, generate_series(1, %s) n",
            [count],
        )
        cursor.execute(
            "INSERT INTO visualsearch_imageembedding (index_id, object_id, state, code, reason, attempts, claim, file,"
            " content_hash, vector, indexed_at) SELECT %s, id::text, 'indexed', '', '', 0, 1, image, '', l2_normalize("
            "(SELECT array_agg(random() - 0.5) FROM generate_series(1, 64 + 0 * i.id))::vector), now()"
            " FROM catalog_productimage i WHERE position > 0 ON CONFLICT DO NOTHING",
            [index.pk],
        )
    get_store().prepare(index)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def test_pictures_that_cannot_be_read(
    shop: list[ProductImage], wrong: Wrong, media: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The folder is not there, is another thing, or lacks one file; the storage fails, or does not answer."""
    away = media.rename(media.with_name("away"))
    said, todo = wrong("storage")
    assert said.startswith("product: 5 of 5 pictures are missing, e.g. products/")
    assert todo.startswith(f"Web and worker must both read {media} (MEDIA_ROOT)")
    media.write_text("not a folder")
    said, _ = wrong("storage")
    assert "pictures cannot be read: products/" in said
    assert "NotADirectoryError" in said
    media.unlink()
    away.rename(media)
    ProductImage.objects.exclude(pk__in=[image.pk for image in shop[:2]]).delete()
    (media / shop[0].image.name).unlink()
    said, todo = wrong("storage")
    assert said == f"product: 1 of 2 pictures are missing, e.g. {shop[0].image.name}."
    assert todo == "Put the files back, then run: manage.py visualsearch_reconcile --fix"
    release = threading.Event()

    def hang(storage: Any, name: str, mode: str = "rb") -> Any:
        release.wait(20)
        raise ConnectionError("gave up")

    monkeypatch.setattr(files, "PATIENCE", 0.3)
    monkeypatch.setattr(FileSystemStorage, "open", hang)
    ImageEmbedding.objects.update(state="pending")  # the encoder's check reads pictures, too
    said, _ = wrong("storage")
    release.set()
    assert said == "product: the storage did not hand out 2 pictures in 0 s; it stopped at one."


def test_encoder_that_is_damaged_or_another(
    transactional_db: None, use_settings: Any, tmp_path: Path, wrong: Wrong, clothing: list[Path]
) -> None:
    weights = tmp_path / "weights.tflite"
    shutil.copyfile(BUNDLED_WEIGHTS / "mobilenet_v2_compact.tflite", weights)
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=str(weights), ENQUEUE="tests.doctor.conftest.at_once")
    for path in clothing[:2]:
        make_product(path.read_bytes())
    index_everything()
    said, status = examined()
    assert status == 0
    assert "2 pictures encoded anew gave the stored vectors" in said["encoder"]["said"]
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    sentence, todo = wrong("encoder")
    assert sentence == f"product: {weights} is damaged or no LiteRT model; build or install it again."
    assert todo.startswith("Run: manage.py visualsearch_encoder check mobilenet_v2_compact")
    weights.unlink()
    said, _ = examined()
    assert said["encoder"]["said"] == f"product: There is no weights file {weights}."
    assert said["settings"]["verdict"] == "wrong", "the system check says so, too"
    weights.write_bytes(ensure_built("mobilenet_v2_compact").read_bytes())
    sentence, _ = wrong("encoder")
    assert "holds vectors of mobilenet_v2_compact" in sentence
    assert "and this process would make vectors of" in sentence
    weights.write_bytes(whole)
    one, other = ImageEmbedding.objects.order_by("pk")
    ImageEmbedding.objects.filter(pk=one.pk).update(vector=other.vector)
    sentence, todo = wrong("encoder")
    assert "does not make the vectors that version" in sentence
    assert todo == "Run: manage.py visualsearch_reconcile --fix --encode all"
    lifecycle.prune(product_source(), keep=0)
