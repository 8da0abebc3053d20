"""What a search returns: full pages of products that may be shown, in two queries."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from catalog.models import Product, ProductImage
from tests.shelf import category, index_everything, make_product, picture, product_source, shade, upload
from visualsearch import product_state, search_by_image, similar_to
from visualsearch.exceptions import FingerprintMismatch, InvalidFilter, InvalidLimit, NotAnImage, SourceNotRegistered
from visualsearch.models import ImageEmbedding, VisualIndex

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _colours(fake_encoder: None, queue: Any) -> None:
    """Colours for vectors: near shades are near neighbours."""


@pytest.fixture
def rainbow() -> list[Product]:
    """Thirty products of one image each, whose colours follow each other."""
    made = [make_product(picture(shade(number)), price=number) for number in range(30)]
    index_everything()
    return made


def test_nearest_first_and_never_the_product_itself(rainbow: list[Product]) -> None:
    found = similar_to(rainbow[10], 2)
    assert {match.product for match in found} == {rainbow[9], rainbow[11]}
    assert [match.rank for match in found] == [1, 2]
    assert [match.distance for match in found] == sorted(match.distance for match in found)
    assert all(match.image.product_id == match.product.pk for match in found)
    assert found.state == "ready"


def test_photo_finds_its_product_at_no_distance(rainbow: list[Product]) -> None:
    for photo in (picture(shade(7)), io.BytesIO(picture(shade(7)))):
        found = search_by_image(photo, 3)
        assert found[0].product == rainbow[7]
        assert found[0].distance == pytest.approx(0, abs=1e-3)
        assert len(found) == 3


@pytest.mark.parametrize("limit", [1, 5, 12, 29])
def test_two_queries_whatever_the_length(rainbow: list[Product], limit: int, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        names = [(match.product.title, match.image.image.name) for match in similar_to(rainbow[0], limit)]
    assert len(names) == limit
    with django_assert_num_queries(2):
        assert len(search_by_image(picture(shade(3)), limit)) == limit


def test_one_entry_a_product_with_its_best_image() -> None:
    made = [make_product(picture(shade(n)), picture(shade(n + 100)), picture((9, 9, 9))) for n in range(12)]
    index_everything()
    found = search_by_image(picture(shade(104)), 12)
    assert sorted(match.product.pk for match in found) == [product.pk for product in made]
    assert found[0].product == made[4]
    assert found[0].image.position == 1


def test_product_with_many_alike_images_does_not_use_up_the_page() -> None:
    """Forty near-identical pictures of one product are nearer than any other: the page is full all the same."""
    crowd = make_product(*[picture((200, 100 + n % 3, 50)) for n in range(40)])
    others = [make_product(picture(shade(number))) for number in range(6)]
    index_everything()
    found = search_by_image(picture((200, 100, 50)), 5)
    assert found[0].product == crowd
    assert len({match.product.pk for match in found}) == 5
    assert len(similar_to(others[0], 6)) == 6


def test_several_images_of_the_query_product_are_used_together() -> None:
    both = make_product(picture((250, 0, 0)), picture((0, 0, 250)))
    red, blue, purple = (make_product(picture(c)) for c in [(250, 120, 0), (0, 120, 250), (125, 0, 125)])
    index_everything()
    assert similar_to(both, 3)[0].product == purple
    assert {match.product for match in similar_to(both, 3)} == {red, blue, purple}


@pytest.mark.parametrize(("minimum", "count"), [(0, 8), (20, 8), (25, 5), (29, 1), (30, 0)])
def test_page_is_full_under_any_filter(rainbow: list[Product], minimum: int, count: int) -> None:
    found = similar_to(rainbow[0], 8, {"price_min": minimum})
    assert len(found) == count
    assert all(match.product.price >= Decimal(minimum) for match in found)
    assert [match.product for match in found] == [match.product for match in found if match.product != rainbow[0]]


def test_filters_are_those_of_the_shop(rainbow: list[Product]) -> None:
    Product.objects.filter(pk=rainbow[5].pk).update(colour="teal", stock=0, category=category("Hats"))
    assert [m.product for m in similar_to(rainbow[20], 5, {"colour": ["teal"]})] == [rainbow[5]]
    assert [m.product for m in similar_to(rainbow[20], 5, {"category": ["hats"]})] == [rainbow[5]]
    assert [m.product for m in similar_to(rainbow[20], 5, {"in_stock": False})] == [rainbow[5]]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"size": "XL"}, "Unknown filter: size. Valid filters: category, colour, in_stock, price_max, price_min"),
        ({"price_min": "cheap"}, "price_min: Enter a number"),
        ({"category": ["no-such"]}, "category: .*no-such"),
    ],
)
def test_wrong_filter_is_named(rainbow: list[Product], filters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        similar_to(rainbow[0], 5, filters)


@pytest.mark.parametrize("limit", [0, -1, 101, "7", 2.5, True])
def test_wrong_limit_is_named(rainbow: list[Product], limit: Any) -> None:
    with pytest.raises(InvalidLimit, match="from 1 to 100"):
        similar_to(rainbow[0], limit)
    with pytest.raises(InvalidLimit):
        search_by_image(picture(), limit)


def test_unpublished_product_is_gone_from_the_next_answer(rainbow: list[Product]) -> None:
    assert rainbow[11] in [match.product for match in similar_to(rainbow[10], 2)]
    Product.objects.filter(pk=rainbow[11].pk).update(is_published=False)
    found = similar_to(rainbow[10], 28)
    assert rainbow[11] not in [match.product for match in found]
    assert len(found) == 28
    assert search_by_image(picture(shade(11)), 1)[0].product != rainbow[11]
    Product.objects.filter(pk=rainbow[11].pk).update(is_published=True)
    assert rainbow[11] in [match.product for match in similar_to(rainbow[10], 2)]


def test_states_of_a_product_without_vectors() -> None:
    bare, waiting, broken = make_product(), make_product(picture()), make_product(b"no picture")
    assert product_state(waiting).state == "pending"
    index_everything()
    late = make_product(picture())
    expected = {bare: "no_image", late: "pending", broken: "failed", waiting: "ready"}
    assert {product: product_state(product).state for product in expected} == expected
    for product in (bare, late, broken):
        found = similar_to(product, 5)
        assert (list(found), found.state) == ([], expected[product])
    assert "not an image" in similar_to(broken, 5).reason.lower()


def test_searching_before_anything_is_indexed_says_so() -> None:
    product = make_product(picture())
    assert similar_to(product).state == "pending"
    found = search_by_image(picture())
    assert (list(found), found.state, found.reason) == ([], "pending", "Nothing is indexed yet.")


def test_row_without_an_image_is_never_shown(rainbow: list[Product]) -> None:
    """A row that outlived its image (raw SQL, a database cascade) is no result and no error."""
    gone = rainbow[11].images.get().pk
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalog_productimage WHERE id = %s", [gone])
    assert ImageEmbedding.objects.filter(object_id=str(gone)).exists()
    assert rainbow[11] not in [match.product for match in similar_to(rainbow[10], 28)]


def test_ties_are_in_the_order_of_the_key() -> None:
    made = [make_product(picture((90, 90, 200))) for _ in range(6)]
    index_everything()
    assert [match.product for match in search_by_image(picture((90, 90, 200)), 6)] == made


def test_versions_do_not_mix(rainbow: list[Product]) -> None:
    """A second version with other vectors, building or retired, changes no answer."""
    before = [match.product.pk for match in similar_to(rainbow[10], 10)]
    active = VisualIndex.objects.get()
    for state in ("building", "retired"):
        other = VisualIndex.objects.create(source="product", encoder="x", fingerprint="f", dimensions=64, state=state)
        for row in active.embeddings.all():
            ImageEmbedding.objects.create(
                index=other, object_id=row.object_id, state="indexed", vector=row.vector[::-1], file=row.file
            )
    assert [match.product.pk for match in similar_to(rainbow[10], 10)] == before


def test_photo_is_refused_by_a_process_with_another_encoder(rainbow: list[Product]) -> None:
    VisualIndex.objects.update(fingerprint="0" * 64)
    with pytest.raises(FingerprintMismatch):
        search_by_image(picture())
    assert len(similar_to(rainbow[0], 5)) == 5, "vectors of one version still compare with each other"


def test_bad_photo_and_unknown_source_are_named() -> None:
    with pytest.raises(NotAnImage):
        search_by_image(b"no picture")
    with pytest.raises(SourceNotRegistered, match="Registered sources: product"):
        search_by_image(picture(), source="shoes")
    with pytest.raises(SourceNotRegistered, match="No source shows Category"):
        similar_to(category())


def test_replaced_image_is_searched_with_its_old_vector_until_the_new_one_is_there(rainbow: list[Product]) -> None:
    image = rainbow[0].images.get()
    image.image = upload(picture(shade(29)))
    image.save()
    assert product_state(rainbow[0]).state == "ready"
    assert similar_to(rainbow[0], 1)[0].product == rainbow[1]
    index_everything(product_source())
    assert similar_to(rainbow[0], 1)[0].product == rainbow[29]
    assert ProductImage.objects.count() == 30
