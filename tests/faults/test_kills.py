"""SIGKILL of worker and web in the middle of a batch, twenty times."""

from __future__ import annotations

import itertools
import random
import threading
import time
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from catalog.models import ProductImage
from tests.faults.services import QUICK, Answer, Cluster, Customer, Web, ended
from tests.faults.truth import assert_true_rows
from tests.processes import wait_until
from tests.shelf import category, index_everything, make_product, picture, shade, upload
from visualsearch import upkeep
from visualsearch.models import ImageEmbedding

pytestmark = [pytest.mark.fault]

ROUNDS = 20
BATCH = 24  # images of a form that the web is sent
TASKS, IN_A_TASK = 4, 16
ONE_BY_ONE = {**QUICK, "workers": 1, "queue_limit": 1}
PRODUCTS = 8

_numbers = itertools.count()


class Staff:
    """Somebody at the admin who saves products with many pictures."""

    def __init__(self) -> None:
        user = get_user_model().objects.create_superuser("staff", "", "staff")
        browser = Client(headers={"host": "localhost"})
        browser.force_login(user)
        self._cookies = {name: morsel.value for name, morsel in browser.cookies.items()} | {"csrftoken": "x" * 32}
        self._category = category().pk

    def save(self, web: Web) -> int:
        """Status of the answer to a form with all the pictures: 302 where they are saved."""
        number = next(_numbers)
        fields = {
            "csrfmiddlewaretoken": "x" * 32,
            "title": f"Batch {number}",
            "sku": f"BATCH-{number}",
            "category": self._category,
            "price": "1",
            "stock": "1",
            "is_published": "on",
            "images-TOTAL_FORMS": BATCH,
            "images-INITIAL_FORMS": "0",
        }
        parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
        for place in range(BATCH):
            parts.append(f'name="images-{place}-position"\r\n\r\n{place}'.encode())
            head = f'name="images-{place}-image"; filename="{number}-{place}.png"\r\nContent-Type: image/png\r\n\r\n'
            parts.append(head.encode() + picture(shade(number + place)))
        body = b"".join(b"--form\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Content-Type": "multipart/form-data; boundary=form", "Cookie": cookies}
        return web.ask("/admin/catalog/product/add/", body + b"--form--\r\n", headers).status


def save_tasks() -> None:
    """What an import does beside the web: tasks of a whole transaction each."""
    for _ in range(TASKS):
        product = make_product()
        with transaction.atomic():
            for place in range(IN_A_TASK):
                ProductImage.objects.create(product=product, image=upload(picture(shade(place))))


def waiting() -> int:
    """Images that are not indexed yet."""
    return ProductImage.objects.count() - ImageEmbedding.objects.filter(state="indexed").count()


def at_work() -> bool:
    """Whether some of what waits has been begun, or all is done already."""
    return ImageEmbedding.objects.filter(state="pending").exists() or not waiting()


def test_killed_worker_and_web_lose_nothing(transactional_db: None, real_encoder: None, log: Path) -> None:
    """Two webs and two clusters in turns: while one is killed and comes back, the other works. In the end every image
    has its one true row, and nothing but a web that was down kept a customer from an answer."""
    from django_q.models import OrmQ

    products = [make_product(picture(shade(number))) for number in range(PRODUCTS)]
    index_everything()
    webs, clusters = [Web(log), Web(log)], [Cluster(log, Q_CLUSTER=ONE_BY_ONE), Cluster(log, Q_CLUSTER=ONE_BY_ONE)]
    killed: list[tuple[Web, float, float]] = []
    in_the_middle = 0
    staff, chance = Staff(), random.Random(7)
    with ended(*webs, *clusters):
        for service in (*webs, *clusters):
            service.start()
        for web in webs:
            web.wait()
        with Customer(webs, [product.pk for product in products], picture(shade(3))) as customer:
            for number in range(ROUNDS):
                web, cluster = webs[number % 2], clusters[number % 2]
                web.wait()
                if len(killed) > 1:  # it is up again since it was killed two rounds ago
                    killed[-2] = (web, killed[-2][1], time.monotonic())
                save_tasks()
                wait_until(at_work, 120, log)
                doomed = threading.Thread(target=staff.save, args=(web,))
                doomed.start()
                time.sleep(chance.uniform(0.05, 0.4))
                in_the_middle += waiting() > 0
                killed.append((web, time.monotonic(), float("inf")))
                cluster.kill()
                web.kill()
                doomed.join()
                cluster.start()
                web.start()
            wait_until(lambda: not OrmQ.objects.exists(), 240, log)
            # A web that dies between an image's commit and its task leaves an image that nobody was told of.
            print(f"{in_the_middle} of {ROUNDS} kills in the middle; {waiting()} images without a task")
            upkeep.reconcile_all(fix=True)  # as the schedule has it done
            wait_until(lambda: waiting() == 0 and not OrmQ.objects.exists(), 120, log)
    assert in_the_middle >= ROUNDS * 3 // 4
    lost = [one for web, one in customer.answers if one.status != 200 and not was_down(killed, web, one)]
    assert not lost, [(one.status, one.code, one.content) for one in lost[:5]]
    assert {one.status for _, one in customer.answers} == {200, 0}
    assert ProductImage.objects.count() >= PRODUCTS + ROUNDS * TASKS * IN_A_TASK
    assert_true_rows()


def was_down(killed: list[tuple[Web, float, float]], web: Web, answer: Answer) -> bool:
    """Whether this web was killed, or not up again, at some moment between the request and its end."""
    return any(one is web and at <= answer.answered and answer.sent <= up for one, at, up in killed)
