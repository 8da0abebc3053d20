"""The clock is set forward and back, or is another one on each machine. Ours is Python's, by ``timezone.now``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Product
from tests.drift.conftest import drift_of as drift_of
from tests.drift.conftest import no_graphs as no_graphs
from tests.drift.conftest import shop as shop
from tests.faults.truth import assert_true_rows
from tests.lifecycle.encoders import RED
from tests.shelf import make_product, picture, product_source, shade
from visualsearch import lifecycle, similar_to, tasks
from visualsearch.models import ImageEmbedding, active_index

pytestmark = [pytest.mark.fault]

HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)


@contextmanager
def clock(moved: timedelta) -> Iterator[None]:
    """Everything that happens in the block happens by a clock that is wrong by so much."""
    right = timezone.now
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: right() + moved)
        yield


@pytest.mark.parametrize("moved", [-WEEK, WEEK], ids=["back", "forth"])
def test_images_are_indexed_and_found_by_any_clock(
    moved: timedelta, shop: list[Any], queue: Any, drift_of: Any
) -> None:
    product = make_product(picture(shade(3)))
    with clock(moved):
        queue.run()
        other = make_product(picture(shade(4)))
        queue.run()
        assert other.pk in [match.product.pk for match in similar_to(product, 5)]
        assert drift_of() == {}
    assert drift_of() == {}
    assert_true_rows()


def test_versions_change_in_their_order_though_the_clock_goes_back(shop: list[Any]) -> None:
    """Each was put to use an hour before the one before, as its clock says: a rollback goes to the one before, and
    pruning waits for no hour to pass."""
    source = product_source()
    used = [active_index(source)]
    for number in range(1, 3):
        with clock(-number * HOUR):
            index = lifecycle.begin(source, RED if number % 2 else "visualsearch.testing.FakeEncoder")
            lifecycle.build(index, source, chunk=64)
            lifecycle.activate(source, index, force=True)
            used.append(index)
    with clock(-3 * HOUR):
        assert lifecycle.rollback(source).version == used[1].pk
        start = time.monotonic()
        assert used[0].pk in lifecycle.prune(source, keep=1)
        assert time.monotonic() - start < 30


def test_task_whose_worker_died_before_the_clock_was_set_back_is_found(shop: list[Any], drift_of: Any) -> None:
    """It is to begin in an hour, as its row says."""
    with clock(HOUR):
        ImageEmbedding.objects.filter(object_id=str(shop[0].pk)).update(state="pending", claimed_at=timezone.now())
    assert drift_of("--fix") == {"stuck_pending": [str(shop[0].pk)]}
    assert_true_rows()


def test_task_of_a_machine_whose_clock_is_ahead_is_run_at_once(transactional_db: None) -> None:
    """The web's clock is an hour ahead of the worker's: a saved picture does not wait for an hour."""
    from django_q.brokers import get_broker
    from django_q.models import OrmQ

    with clock(HOUR):
        product = make_product(picture())
    assert Product.objects.get() == product
    ((number, _),) = get_broker().dequeue()
    assert OrmQ.objects.get().pk == number
    with clock(HOUR):
        tasks.enqueue("visualsearch.tasks.index_images", "product", ["1"], False)
    assert len(get_broker().dequeue()) == 1
