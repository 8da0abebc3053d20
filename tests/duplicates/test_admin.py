"""The staff's page: groups with their pictures, who may dismiss and search, and what the history says."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Product
from tests import recorded_queue, shelf
from tests.admin.conftest import staff
from tests.admin.pages import cells, messages
from tests.duplicates.conftest import PLACEHOLDER, different, groups, keys, stock, titles
from visualsearch import duplicates
from visualsearch.models import DismissedPair, DuplicateSearch, VisualIndex

ADMIN = "/admin/visualsearch/"
PAGE, DISMISSED = f"{ADMIN}duplicatepair/", f"{ADMIN}dismissedpair/"
LOOK, DISMISS, SEARCH = (f"visualsearch.{one}_duplicatepair" for one in ("view", "dismiss", "search"))


@pytest.fixture(autouse=True)
def admin_alone(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.admin.urls"


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def searched(shop: list[Product]) -> DuplicateSearch:
    return duplicates.search(shelf.product_source())


def told(response: Any) -> tuple[str, str]:
    """The last message: those before stay until a page shows them."""
    return messages(response)[-1]


def words(page: Any) -> str:
    html = page.content.decode().partition('<div id="content-main"')[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def press(client: Client, action: str, **given: Any) -> Any:
    return client.post(PAGE, {"action": action, "source": "product", **given})


def test_groups_side_by_side(boss: Client, searched: DuplicateSearch, shop: list[Product]) -> None:
    Product.objects.filter(pk=shop[60].pk).update(title="<script>alert(1)</script>")
    page = boss.get(PAGE)
    said = words(page)
    assert "3 groups of products have nearly the same picture. 68 images were compared on" in said
    assert f"in version {searched.index_id}." in said
    assert "<script>alert(1)</script> · Product 61" in said
    html = page.content.decode()
    assert "<script>alert(1)" not in html
    assert "3 products, 3 pairs" in said
    assert f'href="/admin/catalog/product/{shop[60].pk}/change/"' in html
    assert re.search(rf"Product 66</a> <span class=\"help\">{shop[66].pk}</span> <em>off sale</em>", html)
    assert said.count("off sale") == 1
    distances = re.findall(r"(0\.0\d\d\d) distance", said)
    assert len(distances) == 5
    assert html.count("These may look alike") == 5


def test_the_picture_is_a_small_one(boss: Client, fake_encoder: None, known_threshold: None, queue: Any) -> None:
    for _ in range(2):
        shelf.make_product(shelf.picture(size=(400, 200)))
    shelf.index_everything()
    duplicates.search(shelf.product_source())
    html = boss.get(PAGE).content.decode()
    assert len(re.findall(r'<img src="[^"]+\.180x180[^"]+" width="180" height="90" alt="Product \d+"', html)) == 2
    assert "same file" in html


def test_statements_do_not_grow_with_the_page(boss: Client, searched: DuplicateSearch, use_settings: Any) -> None:
    use_settings(THUMBNAIL="visualsearch.thumbnails.original")  # easy-thumbnails asks for each picture that is missing
    boss.get(PAGE)
    with CaptureQueriesContext(connection) as three:
        boss.get(PAGE)
    duplicates.dismiss(shelf.product_source(), [(pair.first, pair.second) for pair in searched.pairs.all()[:1]])
    with CaptureQueriesContext(connection) as two:
        boss.get(PAGE)
    assert len(three) == len(two) <= 20


def test_dismissing_a_pair_and_taking_it_back(boss: Client, searched: DuplicateSearch, shop: list[Product]) -> None:
    first, second = keys(*shop[60:62])
    done = press(boss, "dismiss", first=second, second=first)
    assert done.headers["Location"] == f"{PAGE}?source=product&p=0"
    assert told(done) == ("success", "1 pair is dismissed.")
    again = press(boss, "dismiss", first=first, second=second)
    assert told(again) == ("warning", "This pair is not listed any more.")
    assert "2 groups of products" in words(boss.get(PAGE))
    (entry,) = LogEntry.objects.all()
    assert (entry.object_repr, entry.user.username) == (f"product: {first} = {second}", "boss")
    assert entry.get_change_message() == "Dismissed: these products may look alike."
    row = DismissedPair.objects.get()
    assert cells(boss.get(DISMISSED), "pair") == [f"Product 60 ({first}) = Product 61 ({second})"]
    assert LogEntry.objects.filter(content_type__model="dismissedpair", object_id=row.pk).count() == 1
    boss.post(DISMISSED, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert not DismissedPair.objects.exists()
    assert "3 groups of products" in words(boss.get(PAGE))


def test_dismissing_a_group(boss: Client, searched: DuplicateSearch) -> None:
    (three,) = [group for group in groups(searched) if group.products == 3]
    alone = boss.get(f"{PAGE}{three.number}/?source=product")
    assert "3 products, 3 pairs" in words(alone)
    stays = press(boss, "dismiss", first=three.pairs[0].first.key, second=three.pairs[0].second.key, alone=1)
    left = re.fullmatch(rf"{PAGE}(\d+)/\?source=product&p=0", stays.headers["Location"])
    assert left
    assert told(press(boss, "dismiss_group", cluster=left[1])) == ("success", "2 pairs are dismissed.")
    assert sorted(map(titles, groups(searched)), key=min) == [{60, 61}, {65, 66}]
    assert LogEntry.objects.count() == 3
    gone = boss.get(f"{PAGE}{left[1]}/?source=product")
    assert (gone.headers["Location"], told(gone)) == (PAGE, ("warning", "This group is not listed any more."))


def test_pages_of_groups_and_of_pairs(boss: Client, shop: list[Product]) -> None:
    pairs = different(12, seed=21)
    stock([row[None] for row in pairs for _ in range(2)])
    stock([different(1, seed=22)] * 12, hashes=dict.fromkeys(range(12), PLACEHOLDER))
    duplicates.search(shelf.product_source())
    first, second, last = (words(boss.get(f"{PAGE}?source=product&p={number}")) for number in (1, 2, 99))
    assert "Page 1 of 2" in first
    assert "Page 2 of 2" in second
    assert second == last
    crowd = boss.get(PAGE).content.decode()
    (number,) = set(re.findall(rf'href="{PAGE}(\d+)/\?source=product">\d+ pairs more', crowd))
    alone = boss.get(f"{PAGE}{number}/?source=product&p=2")
    assert "12 products, 66 pairs" in words(alone)
    assert "Page 2 of 3" in words(alone)
    assert alone.content.decode().count("same file") == 25


def test_searching_by_the_queue(boss: Client, shop: list[Product]) -> None:
    assert "Nobody has searched yet." in words(boss.get(PAGE))
    assert told(press(boss, "search")) == ("success", "The worker searches; look again in a minute.")
    assert told(press(boss, "search")) == ("warning", "A search is under way already.")
    page = boss.get(PAGE)
    assert "A search is under way: 0 of 68 images." in words(page)
    assert 'value="search"' not in page.content.decode()
    recorded_queue.run()
    assert "3 groups of products" in words(boss.get(PAGE))
    assert LogEntry.objects.get().get_change_message() == "Near-duplicates are searched for."


def test_what_goes_wrong_is_said(boss: Client, shop: list[Product], use_settings: Any) -> None:
    use_settings(ENQUEUE="tests.duplicates.test_admin.broken")
    assert told(press(boss, "search")) == ("error", "It could not be done: No broker answers.")
    assert not DuplicateSearch.objects.exists()
    VisualIndex.objects.all().delete()
    level, said = told(press(boss, "search"))
    assert (level, said.partition(" yet")[0]) == ("error", "Source 'product' has no index version")
    assert boss.get(PAGE).status_code == 200
    assert press(boss, "explode").status_code == 400
    assert press(boss, "dismiss", first="\0", second="1").status_code == 400
    assert boss.get(f"{PAGE}{10**30}/").status_code == 302


def broken(function: str, *args: Any, delay: float = 0) -> None:
    raise RuntimeError("No broker answers.")


def test_each_deed_has_its_permission(searched: DuplicateSearch, shop: list[Product]) -> None:
    first, second = keys(*shop[60:62])
    nobody = staff("visualsearch.view_visualindex")
    assert nobody.get(PAGE).status_code == 403
    User.objects.all().delete()
    reader = staff(LOOK)
    page = reader.get(PAGE).content.decode()
    assert "off sale" in page
    assert not re.search(r'name="action"|/admin/catalog/product/', page)
    assert press(reader, "dismiss", first=first, second=second).status_code == 403
    assert press(reader, "dismiss_group", cluster=1).status_code == 403
    assert press(reader, "search").status_code == 403
    assert reader.get(DISMISSED).status_code == 403
    assert not DismissedPair.objects.exists()
    User.objects.all().delete()
    clerk = staff(LOOK, DISMISS)
    assert press(clerk, "dismiss", first=first, second=second).status_code == 302
    assert press(clerk, "search").status_code == 403
    User.objects.all().delete()
    assert press(staff(LOOK, SEARCH), "search").status_code == 302
    assert Client(enforce_csrf_checks=True).post(PAGE, {"action": "search"}).status_code == 403
