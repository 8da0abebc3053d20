"""Is a version whole, does its graph find what is there, and what would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from PIL import Image

from catalog.models import ProductImage
from tests.lifecycle.conftest import Typed, refusal, states
from tests.lifecycle.encoders import RED, RedEncoder
from tests.shelf import make_product, picture, product_source
from visualsearch import lifecycle, similar_to
from visualsearch.models import VisualIndex, rows
from visualsearch.stores import get_store
from visualsearch.stores.pgvector import PgVectorStore


@pytest.fixture
def built(shop: list[ProductImage]) -> VisualIndex:
    index = lifecycle.begin(product_source(), RED)
    lifecycle.build(index, product_source(), chunk=64)
    return index


def test_a_whole_version(built: VisualIndex, manage: Typed) -> None:
    found = lifecycle.verify(product_source(), built, sample=50)
    assert found.refusals == []
    assert (found.images, found.indexed, found.pending, found.behind, found.lost) == (12, 12, 0, 0, 0)
    assert (found.recall, found.queries, found.graph, found.active) == (1.0, 12, "ready", built.pk - 1)
    assert found.overlap is not None
    assert 0.5 < found.overlap <= 1
    assert found.p50_ms
    assert found.active_p95_ms
    said = manage("verify")
    assert f"product: version {built.pk}\n  12 images: 12 indexed, 0 pending, 0 failed; 0 behind" in said
    assert "recall 1.000 of 3 queries against exact search (at least 0.95)" in said
    assert f"active version {built.pk - 1}: " in said


def test_as_json(built: VisualIndex, as_json: Any) -> None:
    found = as_json("verify", str(built.pk), "--sample", "5")
    assert (found["version"], found["recall"], found["queries"], found["refusals"]) == (built.pk, 1.0, 5, [])


def test_an_incomplete_version_is_refused(shop: list[ProductImage], manage: Typed) -> None:
    index = lifecycle.begin(product_source(), RED)
    lifecycle.build_step(index, product_source(), None, 5)
    for action in ("verify", "activate"):
        sentence, status = refusal(manage, action)
        assert "It lacks 7 of 12 images: build it to the end." in sentence
        assert status == 1
    assert states() == ["active", "building"]
    assert "searches use version" in manage("activate", "--force")
    assert states() == ["retired", "active"]


def test_force_says_what_it_overrides(shop: list[ProductImage], manage: Typed, as_json: Any, queue: Any) -> None:
    index = lifecycle.begin(product_source(), RED)
    lifecycle.build_step(index, product_source(), None, 5)
    found = as_json("activate", "--force")
    assert found["overridden"] == ["It lacks 7 of 12 images: build it to the end."]
    assert (found["version"], found["before"], found["queued"]) == (index.pk, index.pk - 1, 7)
    queue.run()
    assert rows(index, state="indexed").count() == 12


def test_an_image_that_waits_in_both_versions_is_no_reason(built: VisualIndex) -> None:
    make_product(picture("teal"))
    found = lifecycle.verify(product_source(), built)
    assert (found.images, found.pending, found.behind, found.refusals) == (13, 1, 0, [])


def test_an_image_that_only_the_active_version_could_read(built: VisualIndex, shop: list[ProductImage]) -> None:
    rows(built, object_id=str(shop[2].pk)).update(state="failed", vector=None)
    found = lifecycle.verify(product_source(), built)
    assert (found.lost, found.failed) == (1, 1)
    assert found.refusals == ["1 images that the active version finds failed in it."]


def test_recall_below_what_is_asked(
    built: VisualIndex, manage: Typed, monkeypatch: pytest.MonkeyPatch, queue: Any
) -> None:
    """A graph that finds every other neighbour."""
    search = PgVectorStore.search

    def half(self: PgVectorStore, index: VisualIndex, *args: Any, exact: bool = False, **options: Any) -> Any:
        page = search(self, index, *args, exact=True, **options)
        return page if exact or index != built else page[::2]

    monkeypatch.setattr(PgVectorStore, "search", half)
    found = lifecycle.verify(product_source(), built)
    assert found.recall == pytest.approx(0.5)
    assert refusal(manage, "activate")[0] == (
        f"Version {built.pk} of product is not activated: Its recall is 0.500, below 0.95: raise EF_SEARCH, or HNSW_M "
        "and build it again."
    )
    assert "searches use version" in manage("activate", "--recall", "0.4")


def test_identical_pictures_do_not_lower_recall(shop: list[ProductImage], use_settings: Any) -> None:
    for _ in range(25):
        make_product(picture("teal"))
    index = lifecycle.begin(product_source(), RED)
    lifecycle.build(index, product_source(), chunk=64)
    assert lifecycle.verify(product_source(), index, sample=6).recall == 1.0


@pytest.mark.parametrize("invalid", [False, True])
def test_a_graph_that_is_not_there_or_not_whole(built: VisualIndex, manage: Typed, invalid: bool) -> None:
    if invalid:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
                [f"visualsearch_hnsw_{built.pk}"],
            )
    else:
        get_store().drop(built)
    word = "invalid" if invalid else "missing"
    assert f"Its database index is {word}: build it to the end." in refusal(manage, "verify")[0]
    manage("build", "--sync", "--encoder", RED)
    assert lifecycle.verify(product_source(), built).refusals == []


def test_an_encoder_that_this_process_has_not(
    built: VisualIndex, manage: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RedEncoder, "fingerprint", "0" * 64)
    assert f"Index version {built.pk} of 'product' holds vectors of {RED} 4ed04ed04ed0" in refusal(manage, "verify")[0]


def test_an_empty_shop(transactional_db: None, fake_encoder: None, queue: Any) -> None:
    index = lifecycle.begin(product_source(), RED)
    lifecycle.build(index, product_source(), chunk=64)
    found = lifecycle.verify(product_source(), index)
    assert (found.recall, found.overlap, found.p50_ms, found.refusals) == (None, None, None, [])
    lifecycle.activate(product_source(), index)
    image = make_product(picture()).images.get()
    queue.run()
    assert similar_to(image.product).state == "ready"
    get_store().drop(index)


def test_montage_of_what_changes_most(built: VisualIndex, manage: Typed, tmp_path: Path) -> None:
    assert f"montage: {tmp_path / 'changes.jpg'}" in manage(
        "verify", "--sample", "6", "--montage", str(tmp_path / "changes.jpg")
    )
    with Image.open(tmp_path / "changes.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert sheet.width > 1000
        assert sheet.height > 6 * 2 * 150
    assert "A montage is a JPEG file in a folder" in refusal(manage, "verify", "--montage", "/nowhere/a.jpg")[0]


def test_there_is_nothing_to_verify(shop: list[ProductImage], manage: Typed) -> None:
    assert refusal(manage, "verify") == ("Source 'product' has no version that is building.", 1)
    (active,) = VisualIndex.objects.all()
    assert refusal(manage, "verify", "999")[0] == f"Source 'product' has no version 999; its versions: {active.pk}."
    assert refusal(manage, "verify", "--sample", "0")[0] == "--sample must be 1 or more."
    assert f"version {active.pk}" in manage("verify", str(active.pk)), "the active one can be looked at, too"
