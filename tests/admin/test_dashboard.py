"""The dashboard: what staff see of each source, and who sees which button."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import shelf
from tests.admin.conftest import Shelves, staff
from visualsearch import lifecycle, pausing, workers
from visualsearch.admin.operations import OPERATIONS
from visualsearch.models import ImageEmbedding, IndexedSource, SearchCount, VisualIndex

PAGE = "/admin/visualsearch/indexedsource/"


def figures(html: str) -> dict[str, str]:
    """Name and text of each figure of the first source."""
    found = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", html, re.DOTALL)
    return {name: " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split()) for name, text in found[:7]}


def buttons(html: str) -> set[str]:
    return set(re.findall(rf'href="{PAGE}product/(\w+)/"', html)) - {"history"}


def test_what_is_so_of_a_source(boss: Client, shelves: Shelves) -> None:
    today = {"source": "product", "day": timezone.localdate()}
    for kind, outcome, bucket, count in [
        ("similar", "answered", 3, 20),  # 5 to 10 ms
        ("photo", "empty", 5, 1),  # 20 to 35 ms
        ("photo", "refused", 0, 3),
        ("photo", "failed", 9, 2),
    ]:
        SearchCount.objects.create(**today, kind=kind, outcome=outcome, bucket=bucket, count=count)
    IndexedSource.objects.create(name="product", worker_seen_at=timezone.now() - timedelta(minutes=7))
    html = boss.get(PAGE).content.decode()
    assert figures(html) == {
        "Indexed": "4 of 8",
        "Pending": "2 0.07 images/s, 29 seconds left",
        "Failed": "2",
        "Searches today": "26 6 by photo",
        "Latency today": "7.6 ms 95%: 10.0 ms",
        "Without an answer": "2 1 empty, 3 refused",
        "Worker last seen": "7 minutes ago",
    }
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert re.search(r"\b2 \S not_an_image", text)
    assert "No worker was seen for 7 minutes: saved images wait." in unescape(text).replace("\xa0", " ")
    (index,) = VisualIndex.objects.all()
    (link,) = re.findall(r'<a href="(/admin/visualsearch/imageembedding/[^"]+)"><code>', html)
    assert boss.get(unescape(link)).context["cl"].result_count == 2
    assert f'<tr class="vs-used">\n<th scope="row">{index.pk}</th>' in html
    assert "none: not calibrated" in html
    assert buttons(html) == {"retry", "pause", "reindex", "build"}


def test_a_pause_and_a_worker_are_seen(boss: Client, shelves: Shelves) -> None:
    workers.seen(always=True)
    pausing.pause(shelf.product_source())
    pausing.hold("product", "visualsearch.tasks.index_images", "product", ["1"], False)
    html = boss.get(PAGE).content.decode()
    assert "Indexing is paused since" in html
    assert "images/s" not in html, "nothing is left to wait for while it is paused"
    assert re.fullmatch(r"\d seconds? ago", figures(html)["Worker last seen"])
    assert "1 task waits." in html
    assert "No worker was seen" not in html
    assert "resume" in buttons(html)
    assert "pause" not in buttons(html)


def test_versions_and_what_can_be_done_with_them(boss: Client, shelves: Shelves) -> None:
    source = shelf.product_source()
    second = VisualIndex.objects.create(source="product", encoder="e", fingerprint="f" * 64, dimensions=64)
    assert buttons(boss.get(PAGE).content.decode()) >= {"prune"}
    assert "activate" not in buttons(boss.get(PAGE).content.decode()), "it is not built"
    VisualIndex.objects.filter(pk=second.pk).update(
        calibration={"method": "isotonic", "distances": [0, 1], "probabilities": [1, 0], "fitted": {"pairs": 1200}},
        state="retired",
        activated_at=timezone.now(),
    )
    html = boss.get(PAGE).content.decode()
    assert "fitted to 1200 pairs of this shop" in html
    assert buttons(html) >= {"rollback", "prune"}
    assert lifecycle.listed(source)[0].version == second.pk


def test_a_shop_before_its_first_image(boss: Client, db: None) -> None:
    html = boss.get(PAGE).content.decode()
    assert figures(html)["Indexed"] == "0 of 0"
    assert figures(html)["Latency today"] == figures(html)["Worker last seen"] == "-"
    assert "No worker was seen yet" in html
    assert buttons(html) == {"pause", "reindex", "build"}


def test_more_rows_cost_no_more_queries(boss: Client, shelves: Shelves) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert boss.get(PAGE).status_code == 200
        return len(seen)

    few = count()
    for number in range(6):
        shelf.make_product(shelf.picture(shelf.shade(number)))
    shelf.index_everything()
    ImageEmbedding.objects.filter(state="indexed").update(state="failed", code="storage_error")
    assert count() <= few <= 30


def test_who_may_only_look_sees_no_button_and_is_refused(shelves: Shelves, queue: Any) -> None:
    client = staff("visualsearch.view_indexedsource")
    page = client.get(PAGE)
    assert page.status_code == 200
    assert buttons(page.content.decode()) == set()
    assert "imageembedding" not in page.content.decode()
    for operation in OPERATIONS:
        assert client.get(f"{PAGE}product/{operation.name}/").status_code == 403
        assert client.post(f"{PAGE}product/{operation.name}/", {}).status_code == 403
    assert client.get(f"{PAGE}product/change/").status_code == 200
    assert client.post(f"{PAGE}product/change/", {"name": "x"}).status_code == 403
    assert client.get(f"{PAGE}add/").status_code == client.get(f"{PAGE}product/delete/").status_code == 403
    assert not queue.tasks
    assert not pausing.paused_since("product")


def test_each_permission_opens_its_own_operations(shelves: Shelves) -> None:
    client = staff("visualsearch.view_indexedsource")
    clerk = User.objects.get(username="clerk")
    for permission in sorted({operation.permission for operation in OPERATIONS}):
        clerk.user_permissions.set([Permission.objects.get(codename=f"{permission}_indexedsource")])
        allowed = {operation.name for operation in OPERATIONS if operation.permission == permission}
        for operation in OPERATIONS:
            expected = 200 if operation.name in allowed else 403
            assert client.head(f"{PAGE}product/{operation.name}/").status_code == expected
    assert buttons(client.get(PAGE).content.decode()) <= allowed


def test_others_have_no_page(shelves: Shelves) -> None:
    assert staff("catalog.view_product").get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302, "to the login"
    assert Client().post(f"{PAGE}product/pause/").status_code == 302
