"""ReindexMixin: the column and the action, on products, on images and on a model that is both."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

import visualsearch
from catalog.models import Product, ProductImage
from tests import shelf
from tests.admin.conftest import Shelves, replace_file, staff
from tests.admin.pages import actions, cells, messages
from tests.goods import sources as goods
from tests.goods.models import Garment, GarmentProxy
from visualsearch.admin import ReindexMixin
from visualsearch.models import ImageEmbedding

PRODUCTS = "/admin/catalog/product/"
IMAGES = "/admin/catalog/productimage/"
REFUSAL = "The file is not an image of a known format."


def states(response: Any) -> list[str]:
    return cells(response, "visual_search_state")


def press(client: Client, address: str, *chosen: Any, **more: Any) -> Any:
    data = {"action": "reindex_selected", "_selected_action": [item.pk for item in chosen], **more}
    return client.post(address, data)


def test_products_show_how_many_of_their_images_are_indexed(boss: Client, shelves: Shelves) -> None:
    page = boss.get(PRODUCTS + "?o=2")
    shown = dict(zip(cells(page, "title"), states(page), strict=True))
    assert shown == {
        "Whole": "indexed 3/3",
        "Part": f"indexed 1/3 [{REFUSAL}\n1 image waits.]",
        "Broken": f"failed [{REFUSAL}]",
        "Waiting": "pending",
        "Bare": "no image",
    }


def test_icons_are_those_of_the_admin(boss: Client, shelves: Shelves) -> None:
    html = boss.get(PRODUCTS + "?o=2").content.decode()
    found = re.findall(r'class="field-visual_search_state">(.*?)</td>', html, re.DOTALL)
    icons = [re.findall(r"/icon-(\w+)\.svg", cell) for cell in found]
    # By title: Bare, Broken, Part, Waiting, Whole
    assert icons == [[], ["no"], ["no"], ["pending"], ["yes"]]


def test_images_show_their_own_state(boss: Client, shelves: Shelves) -> None:
    images = ProductImage.objects.filter(product=shelves.part).order_by("pk")
    for image, expected in zip(images, ["indexed", f"failed [{REFUSAL}]", "pending"], strict=True):
        assert states(boss.get(f"{IMAGES}?id={image.pk}")) == [expected]
    assert states(boss.get(f"{IMAGES}?product__id={shelves.bare.pk}")) == ["no image"]


def test_a_row_of_another_file_counts_for_nothing(boss: Client, shelves: Shelves) -> None:
    first = shelves.whole.images.first()
    replace_file(first, shelf.picture("blue"))
    assert states(boss.get(f"{PRODUCTS}?q=Whole")) == ["indexed 2/3 [1 image waits.]"]
    failed = shelves.broken.images.get()
    replace_file(failed, shelf.picture("blue"))
    assert states(boss.get(f"{PRODUCTS}?q=Broken")) == ["pending"]


def test_before_the_first_index_everything_waits(boss: Client) -> None:
    shelf.make_product(shelf.picture())
    assert states(boss.get(PRODUCTS)) == ["pending"]


def test_the_form_shows_the_state_too(boss: Client, shelves: Shelves) -> None:
    page = boss.get(f"{PRODUCTS}{shelves.part.pk}/change/").content.decode()
    assert "indexed 1/3" in page
    assert boss.get(f"{PRODUCTS}add/").status_code == 200


@pytest.mark.parametrize("address", [PRODUCTS, IMAGES])
def test_a_longer_page_costs_no_more_queries(boss: Client, address: str, queue: Any) -> None:
    def count() -> int:
        assert boss.get(address).status_code == 200  # makes the thumbnails
        with CaptureQueriesContext(connection) as seen:
            assert boss.get(address).status_code == 200
        return len(seen)

    shelf.make_product(shelf.picture(), shelf.picture("blue"))
    shelf.index_everything()
    few = count()
    for number in range(6):
        shelf.make_product(shelf.picture(shelf.shade(number)), shelf.picture(shelf.shade(number + 9)))
    shelf.index_everything()
    assert count() == few <= 16


def test_the_column_costs_one_query(boss: Client, shelves: Shelves, django_assert_num_queries: Any) -> None:
    own = admin.site.get_model_admin(Product)
    with django_assert_num_queries(1):
        page = list(Product.objects.all())
    with django_assert_num_queries(1):
        own.remember_states(page)
        assert [own.visual_search_state(product) for product in page]


def test_the_action_queues_all_images_of_the_selected_products(boss: Client, shelves: Shelves, queue: Any) -> None:
    response = press(boss, PRODUCTS, shelves.whole, shelves.part, shelves.bare)
    assert response.status_code == 302
    assert messages(response) == [("success", "6 images are queued to be indexed.")]
    (task,) = queue.take()
    wanted = ProductImage.objects.filter(product__in=[shelves.whole, shelves.part]).order_by("pk")
    assert task.function == "visualsearch.tasks.index_images"
    assert task.args == ("product", [str(image.pk) for image in wanted], True)


def test_the_action_embeds_a_file_that_has_not_changed(boss: Client, shelves: Shelves, queue: Any) -> None:
    image = shelves.whole.images.first()
    before = ImageEmbedding.objects.get(object_id=image.pk).indexed_at
    press(boss, IMAGES, image)
    queue.run()
    assert ImageEmbedding.objects.get(object_id=image.pk).indexed_at > before


def test_the_action_on_one_image(boss: Client, shelves: Shelves, queue: Any) -> None:
    image = shelves.waiting.images.get()
    response = press(boss, IMAGES, image)
    assert messages(response) == [("success", "1 image is queued to be indexed.")]
    assert [task.args[1] for task in queue.take()] == [[str(image.pk)]]


def test_all_of_a_filtered_list(boss: Client, shelves: Shelves, queue: Any, use_settings: Any) -> None:
    use_settings(CHUNK=2)
    response = press(boss, f"{PRODUCTS}?is_published__exact=1", shelves.bare, select_across=1)
    assert messages(response) == [("success", "8 images are queued to be indexed.")]
    assert [len(task.args[1]) for task in queue.take()] == [2, 2, 2, 2]


def test_nothing_to_queue_is_a_warning(boss: Client, shelves: Shelves, queue: Any) -> None:
    response = press(boss, PRODUCTS, shelves.bare)
    assert messages(response) == [("warning", "There is no image to index in this selection.")]
    assert queue.take() == []


def away(function: str, *args: Any, delay: float = 0) -> None:
    raise ConnectionError("Error 111 connecting to queue:6379. Connection refused.\nAnd a second line.")


def full(function: str, *args: Any, delay: float = 0) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def test_a_queue_that_is_away_is_a_message(boss: Client, shelves: Shelves, use_settings: Any) -> None:
    use_settings(ENQUEUE="tests.admin.test_reindexing.away")
    response = press(boss, PRODUCTS, shelves.whole)
    text = "The images could not be queued: Error 111 connecting to queue:6379. Connection refused."
    assert messages(response) == [("error", text)]


def test_a_queue_in_the_database_does_not_spoil_the_request(
    boss: Client, shelves: Shelves, use_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    use_settings(ENQUEUE="tests.admin.test_reindexing.full")
    response = press(boss, PRODUCTS, shelves.whole)
    assert messages(response) == [("error", "The images could not be queued: division by zero")]
    assert boss.get(PRODUCTS).status_code == 200


def test_a_missing_queue_library_is_a_message(
    boss: Client, shelves: Shelves, use_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    monkeypatch.setitem(__import__("sys").modules, "django_q.tasks", None)
    ((level, text),) = messages(press(boss, PRODUCTS, shelves.whole))
    assert level == "error"
    assert 'pip install "django-visualsearch[queue]"' in text


def test_the_real_queue_takes_it(boss: Client, shelves: Shelves, use_settings: Any) -> None:
    from django_q.models import OrmQ

    use_settings(ENQUEUE="visualsearch.tasks.enqueue")
    assert messages(press(boss, PRODUCTS, shelves.whole))[0][0] == "success"
    assert OrmQ.objects.get().task["args"][0] == "product"


def test_who_may_only_look_is_not_offered_the_action(shelves: Shelves, queue: Any) -> None:
    clerk = staff("catalog.view_product")
    page = clerk.get(PRODUCTS)
    assert states(page)
    assert "reindex_selected" not in actions(page)
    press(clerk, PRODUCTS, shelves.whole)
    assert queue.take() == []


def test_who_may_change_products_is_offered_it(shelves: Shelves, queue: Any) -> None:
    clerk = staff("catalog.view_product", "catalog.change_product")
    assert "reindex_selected" in actions(clerk.get(PRODUCTS))
    press(clerk, PRODUCTS, shelves.broken)
    assert len(queue.take()) == 1


def test_without_permission_there_is_no_page(shelves: Shelves) -> None:
    assert staff().get(PRODUCTS).status_code == 403


def test_a_popup_offers_no_actions(boss: Client, shelves: Shelves) -> None:
    assert actions(boss.get(f"{PRODUCTS}?_popup=1")) == []


def own_admin(model: type, **attributes: Any) -> Any:
    return type("OwnAdmin", (ReindexMixin, admin.ModelAdmin), attributes)(model, admin.AdminSite())


def request_of(user: Any) -> Any:
    request = RequestFactory().get("/")
    request.user = user
    request.session = {}  # type: ignore[assignment]
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    return request


def test_actions_and_columns_of_the_shop_stay(admin_user: Any) -> None:
    request = request_of(admin_user)
    plain = own_admin(Product)
    assert plain.get_list_display(request) == ["__str__", "visual_search_state"]
    placed = own_admin(Product, list_display=("visual_search_state", "sku"))
    assert placed.get_list_display(request) == ("visual_search_state", "sku")
    assert placed.check() == []
    assert own_admin(Product, actions=None).get_actions(request) == {}


def test_a_product_that_carries_its_picture(admin_user: Any, db: None, queue: Any) -> None:
    with goods.registered() as (garments, _):
        coat, hat = (Garment.objects.create(name=name, photo=shelf.upload(shelf.picture())) for name in ("coat", "hat"))
        bare = Garment.objects.create(name="belt")
        queue.take()
        for model in (Garment, GarmentProxy):
            own = own_admin(model)
            page = list(model.objects.order_by("name"))
            own.remember_states(page)
            assert ["no image" in own.visual_search_state(item) for item in page] == [True, False, False]
            own.reindex_selected(request_of(admin_user), model.objects.filter(name__in=["coat", "belt"]))
            assert [task.args[:2] for task in queue.take()] == [("garment", [str(coat.pk)])]
        queue.take()
        visualsearch.tasks.index_images(garments.name, [str(coat.pk)])
        own.remember_states([coat, hat, bare])
        assert ["indexed" in own.visual_search_state(item) for item in (coat, hat, bare)] == [True, False, False]


def test_a_named_source(db: None) -> None:
    assert own_admin(Product, visualsearch_source="product").get_image_source().name == "product"
    (message,) = [m for m in own_admin(Product, visualsearch_source="shoes").check() if m.id == "visualsearch.E040"]
    assert "Registered sources: product" in message.msg


def test_an_error_without_words() -> None:
    from visualsearch.admin.queueing import in_words

    assert in_words(OperationalError()) == "OperationalError"
