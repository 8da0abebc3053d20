"""What the dashboard's buttons do: asked first, done once, told, and written down in the admin's history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from threading import Barrier
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client

from catalog.models import ProductImage
from tests import shelf
from tests.admin.conftest import Shelves, replace_file, staff
from tests.admin.pages import messages
from visualsearch import lifecycle, pausing, upkeep
from visualsearch.models import VisualIndex
from visualsearch.stores import get_store

PAGE = "/admin/visualsearch/indexedsource/"
RED = "tests.lifecycle.encoders.RedEncoder"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visualsearch.lifecycle.verifying.PATIENCE", 0)
    monkeypatch.setattr("visualsearch.lifecycle.switching.GRACE", 0)


def ask(client: Client, operation: str) -> dict[str, str]:
    """What the page's form holds when it is opened, hidden fields too."""
    page = client.get(f"{PAGE}product/{operation}/")
    assert page.status_code == 200
    form = page.context["form"]
    return {name: str(form[name].value()) for name in form.fields if form[name].value() is not None}


def press(client: Client, operation: str, **given: Any) -> list[tuple[str, str]]:
    """Opens the question and answers it. Returns what the user is then told."""
    response = client.post(f"{PAGE}product/{operation}/", {**ask(client, operation), **given})
    assert response.status_code == 302, response.context["form"].errors
    assert response.url == PAGE
    return messages(response)


def history() -> list[str]:
    return list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))


def test_a_question_changes_nothing_and_an_answer_is_done_and_written_down(
    boss: Client, shelves: Shelves, queue: Any
) -> None:
    failed = [str(pk) for pk in ProductImage.objects.filter(product__in=[shelves.broken, shelves.part])]
    html = boss.get(f"{PAGE}product/retry/").content.decode()
    assert "Images that failed are queued to be tried again" in html
    assert not queue.tasks
    assert not history()
    said = "2 images are queued to be indexed."
    assert press(boss, "retry") == [("success", f"product: {said}")]
    (task,) = queue.take()
    assert task.args[0] == "product"
    assert len(task.args[1]) == 2
    assert task.args[2] is True
    assert failed
    entry = LogEntry.objects.get()
    assert entry.change_message == f"Retry failed: {said}"
    assert (entry.user.username, entry.object_id, entry.content_type.model) == ("boss", "product", "indexedsource")
    shown = boss.get(f"{PAGE}product/history/").content.decode()
    assert f"Retry failed: {said}" in unescape(shown)


def test_pause_and_resume(boss: Client, shelves: Shelves, queue: Any) -> None:
    image = shelves.waiting.images.get()
    assert press(boss, "pause") == [("success", "product: Indexing is paused; what is saved meanwhile waits.")]
    assert press(boss, "pause") == [("error", "product: It is paused already.")]
    replace_file(image, shelf.picture("red"))
    upkeep.tasks.enqueue_images("product", [image.pk])
    queue.run()
    assert pausing.held_tasks("product") == 1
    assert press(boss, "resume") == [("success", "product: Indexing goes on. 1 image is queued to be indexed.")]
    assert press(boss, "resume") == [("error", "product: It is not paused.")]
    queue.run()
    assert shelf.product_source().name not in [task.function for task in queue.tasks]
    assert (
        upkeep.indexing.out_of_date(VisualIndex.objects.get(), shelf.product_source()).filter(pk=image.pk).count() == 0
    )
    assert len(history()) == 2


def test_reindex(boss: Client, shelves: Shelves, queue: Any) -> None:
    for scope, count, force in (("missing", 2, False), ("all", 8, True)):
        said = f"product: {count} images are queued to be indexed."
        assert press(boss, "reindex", scope=scope) == [("success", said)]
        (task,) = queue.take()
        assert (len(task.args[1]), task.args[2]) == (count, force)


def test_what_cannot_be_done_is_told(boss: Client, shelves: Shelves, queue: Any, use_settings: Any) -> None:
    for operation, given in (("reindex", {"scope": "none"}), ("build", {"encoder": "x"}), ("activate", {"version": 9})):
        page = boss.post(f"{PAGE}product/{operation}/", given)
        assert page.status_code == 200
        assert "Select a valid choice" in page.content.decode()
    assert (
        boss.post(f"{PAGE}product/build/", {"encoder": "visualsearch.testing.FakeEncoder", "rate": "0"})
        .context["form"]
        .errors
    )
    answer = boss.post(f"{PAGE}shoes/pause/")
    assert (answer.status_code, answer.url) == (302, PAGE)
    assert messages(answer) == [("error", "There is no source 'shoes'. Registered sources: product.")]
    assert not queue.tasks
    use_settings(ENQUEUE="tests.metrics.test_pausing.away")
    assert press(boss, "retry") == [("error", "It could not be done: the queue is away")]
    assert not history()


def test_build_activate_roll_back_and_prune(
    boss: Client, shelves: Shelves, queue: Any, use_settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    use_settings(SOURCE_ENCODERS={"product": RED})
    first = VisualIndex.objects.get()
    ((level, said),) = press(boss, "build", rate="500")
    second = VisualIndex.objects.get(state="building")
    assert (level, said) == ("success", f"product: Version {second.pk} ({RED}) is being built by the queue.")
    assert queue.tasks[0].args == (second.pk, None, 500.0)
    queue.run()
    assert lifecycle.listed(shelf.product_source())[0].ready
    queue.take()
    use_settings(SOURCE_ENCODERS={}, WEIGHTS={RED: None})
    switched = [("success", f"product: Searches use version {second.pk} instead of {first.pk}.")]
    assert press(boss, "activate", version=second.pk)[0][1].startswith(switched[0][1])
    assert VisualIndex.objects.active().get() == second
    ((level, said),) = press(boss, "rollback")
    assert said.startswith(f"product: Searches use version {first.pk} instead of {second.pk}.")
    queue.take()
    assert press(boss, "prune", version=second.pk) == [
        ("success", f"product: The queue throws version {second.pk} away.")
    ]
    queue.run()
    upkeep.prune("product", first.pk)
    assert "nothing was thrown away" in caplog.text, "it is in use"
    assert list(VisualIndex.objects.all()) == [first]
    assert [entry.partition(":")[0] for entry in history()] == [
        "Build a version",
        "Activate",
        "Roll back",
        "Throw versions away",
    ]


@pytest.fixture
def two_versions(transactional_db: None) -> Iterator[tuple[VisualIndex, VisualIndex]]:
    """The version in use, and one that is built beside it."""
    get_store().drop_leftovers()
    for number in range(4):
        shelf.make_product(shelf.picture(shelf.shade(number)))
    shelf.index_everything()
    source = shelf.product_source()
    first, second = VisualIndex.objects.get(), lifecycle.begin(source, RED)
    lifecycle.build(second, source, chunk=8)
    yield first, second
    VisualIndex.objects.all().delete()
    get_store().drop_leftovers()


def test_of_two_who_press_at_once_one_wins_and_the_other_is_told(
    two_versions: tuple[VisualIndex, VisualIndex],
) -> None:
    first, second = two_versions
    clerks = []
    for name in ("anna", "bert"):
        clerks.append(Client())
        clerks[-1].force_login(User.objects.create_superuser(name))
    given = [ask(clerk, "activate") | {"version": str(second.pk)} for clerk in clerks]
    together = Barrier(2)

    def activate(number: int) -> list[tuple[str, str]]:
        try:
            together.wait(10)
            return messages(clerks[number].post(f"{PAGE}product/activate/", given[number]))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        told = sorted(said for found in pool.map(activate, range(2)) for said in found)
    assert [level for level, _ in told] == ["error", "success"]
    assert "changed by somebody else" in told[0][1] or "Somebody else has changed the version in use" in told[0][1]
    assert VisualIndex.objects.active().get() == second
    assert len(history()) == 1

    # Both saw the second version in use; the one who is late does not roll forth again.
    given = [ask(clerk, "rollback") for clerk in clerks]
    answers = [messages(clerk.post(f"{PAGE}product/rollback/", given[0])) for clerk in clerks]
    assert [level for ((level, _),) in answers] == ["success", "error"]
    assert f"it is {first.pk} now. Nothing was done." in answers[1][0][1]
    assert VisualIndex.objects.active().get() == first


def test_a_request_is_no_transaction(
    two_versions: tuple[VisualIndex, VisualIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Database indexes cannot be made or dropped in one, whatever ATOMIC_REQUESTS says."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    _, second = two_versions
    client = staff("visualsearch.activate_indexedsource")
    ((level, _),) = press(client, "activate", version=second.pk)
    assert level == "success"


def test_pages_hold_their_token(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    assert client.post(f"{PAGE}product/pause/").status_code == 403
    (token,) = re.findall(
        r'name="csrfmiddlewaretoken" value="(\w+)">\s*<div class="submit-row">',
        client.get(f"{PAGE}product/pause/").content.decode(),
    )
    assert client.post(f"{PAGE}product/pause/", {"csrfmiddlewaretoken": token}).status_code == 302
