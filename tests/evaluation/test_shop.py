"""visualsearch_evaluate --source: other views of the same product, other products of the same category."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.models import Product, ProductImage
from tests.evaluation.conftest import BLUE, NAVY, RED, answer, evaluate, refusal, shades
from tests.goods import sources as goods
from tests.goods.models import Garment
from tests.shelf import category, index_everything, make_product, picture, upload
from visualsearch.models import ImageEmbedding, VisualIndex

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_encoder", "queue")]
FAKE, MUDDLED = "visualsearch.testing.FakeEncoder", "tests.evaluation.encoders.Muddled"


@pytest.fixture
def products() -> list[Product]:
    """Three products of two views each, in two categories, and one of one view; indexed."""
    made = []
    for name, kind, colour in (("Rose", "Red", RED), ("Brick", "Red", (190, 60, 30)), ("Sea", "Blue", BLUE)):
        views = [picture(shade) for shade in shades(colour, 2)]
        made.append(make_product(*views, title=name, category=category(kind)))
    made.append(make_product(picture(NAVY), title="Night", category=category("Blue")))
    index_everything()
    return made


def test_other_views_of_the_same_product(products: list[Product]) -> None:
    found = answer("--source", "product")
    assert (found["queries"], found["gallery"], found["p_at_1"]) == (6, 7, 1)
    assert found["notes"] == ["1 image is no query: its product has no other."]
    assert {each["class"] for each in found["classes"]} == {"Rose", "Brick", "Sea"}
    assert found["weights"] == f"index version {VisualIndex.objects.get().pk}"
    assert found["ms_per_image"] is None
    assert "The vectors were those of the index; no picture was read." in evaluate("--source", "product")


def test_other_products_of_the_same_category(products: list[Product]) -> None:
    found = answer("--source", "product", "--by", "category")
    assert (found["queries"], found["gallery"], found["p_at_1"]) == (7, 7, 1)
    # Each of the four red ones has two to find, those of the other product: its own second view is no answer.
    assert found["p_at_10"] == pytest.approx((4 * 0.2 + 2 * 0.1 + 0.2) / 7, abs=1e-6)
    assert [each["class"] for each in found["classes"]] == ["Blue", "Red"]
    assert {each["class"] for each in answer("--source", "product", "--by", "category__slug")["classes"]} == {
        "blue",
        "red",
    }


def test_products_without_a_value_are_left_out(products: list[Product]) -> None:
    Product.objects.exclude(title="Night").update(colour="bright")
    found = answer("--source", "product", "--by", "colour")
    assert found["notes"] == ["1 image is left out: its product has no colour."]
    assert (found["queries"], found["gallery"]) == (6, 6)


def test_another_encoder_reads_the_pictures(products: list[Product]) -> None:
    lost = ProductImage.objects.filter(product__title="Sea").first()
    assert lost is not None
    lost.image.storage.delete(lost.image.name)
    found = answer("--source", "product", "--encoder", f"{FAKE},{MUDDLED}")
    stored, read = found["encoders"]
    assert stored["ms_per_image"] is None, "its vectors are there already"
    assert (stored["queries"], read["queries"]) == (6, 4)
    assert read["ms_per_image"] > 0
    assert read["unreadable"] == [{"name": lost.image.name, "code": "file_missing", "reason": "There is no such file."}]
    assert found["comparison"]["queries"] == 4


def test_images_without_a_vector_are_listed_with_their_reason(products: list[Product]) -> None:
    make_product(b"no picture", title="Broken")
    index_everything()
    make_product(picture(RED), title="Waiting")
    codes = {each["code"] for each in answer("--source", "product")["unreadable"]}
    assert codes == {"not_an_image", "pending"}


def test_a_sample_of_the_queries(products: list[Product]) -> None:
    found = answer("--source", "product", "--sample", 2)
    assert (found["queries"], found["gallery"]) == (2, 7)
    assert "2 of 6 possible queries were drawn at random; --sample takes more." in found["notes"]
    assert found["classes"] == answer("--source", "product", "--sample", 2)["classes"]


def test_the_montage_reads_the_shops_own_files(products: list[Product], tmp_path: Any) -> None:
    assert evaluate("--source", "product", "--montage", tmp_path / "out.jpg").splitlines()[-1].startswith("Montage: ")
    assert (tmp_path / "out.jpg").stat().st_size > 10_000


def test_mistakes(products: list[Product]) -> None:
    assert refusal("--source", "shoes").startswith("There is no source 'shoes'. Registered sources: product")
    fields = "Product has no single value 'shape'; --by takes product, or a field of Product: category, colour, "
    assert refusal("--source", "product", "--by", "shape").startswith(fields)
    assert refusal("--source", "product", "--by", "images").startswith("Product has no single value 'images'")
    assert refusal("--source", "product", "--by", "title").startswith("No two products of source 'product' have")
    assert refusal("--source", "product", "--sample", "0") == "--sample must be 1 or more."
    ImageEmbedding.objects.update(vector=None)
    assert refusal("--source", "product").endswith("has no vectors yet; run: manage.py visualsearch_reindex")
    VisualIndex.objects.all().delete()
    assert "has no index yet; run: manage.py visualsearch_reindex --source product" in refusal("--source", "product")
    assert answer("--source", "product", "--encoder", FAKE)["p_at_1"] == 1, "an encoder needs no index"
    ProductImage.objects.all().delete()
    assert refusal("--source", "product") == "Source 'product' has no images."


def test_products_of_one_picture_each() -> None:
    make_product(picture(RED))
    text = refusal("--source", "product", "--encoder", FAKE)
    assert (
        text == "No product of source 'product' has two images; choose a field of theirs with --by, such as category."
    )


def test_keys_that_are_no_numbers_and_pictures_of_the_product_itself() -> None:
    with goods.registered():
        for name in ("coat", "coat", "hat"):
            Garment.objects.create(name=name, photo=upload(picture(RED)))
        found = answer("--source", "garment", "--by", "name", "--encoder", FAKE)
        assert (found["queries"], found["gallery"]) == (2, 3)
        assert refusal("--source", "garment", "--encoder", FAKE).startswith("No product of source 'garment' has two")
