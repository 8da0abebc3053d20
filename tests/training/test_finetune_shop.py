"""visualsearch_finetune on a shop's index: from stored vectors to a new version that searches use."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

import visualsearch
from catalog.models import Product
from tests.shelf import category, index_everything, make_product, product_source
from visualsearch import indexing
from visualsearch.contrib.training.exceptions import TrainingError
from visualsearch.contrib.training.gathering import from_index
from visualsearch.contrib.training.management.commands.visualsearch_finetune import Command
from visualsearch.encoders.head import read_encoder_file
from visualsearch.exceptions import EvaluationError
from visualsearch.models import VisualIndex, active_index, rows

NAME = "mobilenet_v2_compact"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def shop(photos: dict[str, list[Path]], use_settings: Any, queue: Any) -> None:
    use_settings(ENCODER=NAME, WEIGHTS=None)
    for kind, paths in photos.items():
        for path in paths[:12]:
            make_product(path.read_bytes(), title=f"{kind} {path.stem}", category=category(kind))
    index_everything()


def run(*arguments: object) -> str:
    out = StringIO()
    call_command(Command(), *map(str, arguments), stdout=out, stderr=StringIO())
    return out.getvalue()


def test_from_the_index_to_a_version_in_use(
    shop: None, use_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Categories are found by themselves, and no picture is read."""
    file = tmp_path / "ours.tflite"
    monkeypatch.setattr(indexing, "open_image", lambda content: pytest.fail("a picture is read"))
    said = run("product", "--output", file)
    assert "48 pictures of 48 products, by category: 4 categories." in said
    assert "over 48 queries: better" in said
    setting = f"VISUALSEARCH[\"WEIGHTS\"] = {{'{NAME}': None, '{NAME}@finetuned': '{file}'}}"
    assert setting in said
    assert f"manage.py visualsearch_finetune product --use {file}" in said
    assert VisualIndex.objects.count() == 1  # nothing changes by itself

    described = read_encoder_file(file)
    active = active_index(product_source())
    assert described is not None
    assert described.head is not None
    assert active is not None
    assert described.head.base == active.fingerprint

    use_settings(WEIGHTS={NAME: None, f"{NAME}@finetuned": str(file)})
    said = run("--use", file)
    assert "48 vectors computed from those of version" in said
    assert "Nothing that searches use has changed." in said
    assert active_index(product_source()) == active

    said = run("--use", file, "--activate")
    now = active_index(product_source())
    assert now is not None
    assert (now.encoder, now.dimensions) == (f"{NAME}@finetuned", described.dimensions)
    assert f"version {now.pk} is active; to go back: manage.py visualsearch_index rollback" in said
    assert rows(now, vector__isnull=False).count() == 48
    hat = Product.objects.filter(category__name="hat").earliest("pk")
    found = visualsearch.similar_to(hat, limit=5)
    assert [match.product.category.name for match in found].count("hat") >= 4


def test_in_one_go_where_the_settings_name_the_file_already(shop: None, use_settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "ours.tflite"
    use_settings(WEIGHTS={NAME: None, f"{NAME}@finetuned": str(file)})
    said = run("product", "--output", file, "--by", "category__slug", "--activate")
    assert "48 vectors computed" in said
    assert "is active" in said


def test_nothing_to_learn_from(shop: None, tmp_path: Path) -> None:
    for by, reason in (
        ("product", "No product of source 'product' has two images"),
        ("shape", "Product has no single value 'shape'"),
        ("sku", "No two products of source 'product' have the same sku"),
        ("is_published", "All pictures are of one category: there is nothing to tell apart."),
    ):
        with pytest.raises(CommandError) as caught:
            run("product", "--output", tmp_path / "ours.tflite", "--by", by)
        assert reason in str(caught.value)


def test_what_is_alike_is_guessed(shop: None) -> None:
    source = product_source()
    assert from_index(source, None, 0).examples.by == "category"
    by_augmentations = from_index(source, "augmentations", 0).examples
    assert by_augmentations.several == 0
    Product.objects.update(category=category("hat"))
    assert from_index(source, None, 0).examples.by == "augmentations"  # one category tells nothing apart
    with pytest.raises(EvaluationError):
        from_index(source, "nothing", 0)


def test_an_empty_shop_and_an_encoder_without_a_file(fake_encoder: None, queue: Any, db: None) -> None:
    with pytest.raises(TrainingError, match="Nothing of product is indexed yet"):
        from_index(product_source(), None, 0)
    make_product((Path(__file__).parents[2] / "docs" / "screenshots" / "similar.jpg").read_bytes())
    index_everything()
    with pytest.raises(TrainingError, match=r"not run from a \.tflite file"):
        from_index(product_source(), None, 0)
