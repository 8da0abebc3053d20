"""A limit on what storages may take, and none on what is done with their answer."""

from __future__ import annotations

import threading
import time

import pytest

from visualsearch.readers import Overdue, Readers, answered, within

LIMIT = 0.1


def test_a_storage_that_does_not_answer_is_given_up_and_holds_up_no_other() -> None:
    never = threading.Event()
    with Readers(1, LIMIT) as readers:
        first, second = readers.submit(never.wait), readers.submit(lambda: "read")
        with pytest.raises(Overdue, match=r"did not answer in 0\.1 seconds"):
            readers.result(first)
        assert readers.result(second) == "read"
    never.set()


def test_what_is_done_with_the_answer_takes_as_long_as_it_takes() -> None:
    def decoded() -> str:
        answered()
        time.sleep(3 * LIMIT)
        return "decoded"

    assert within(LIMIT, decoded) == "decoded"
    answered()  # outside of a read there is no limit to end
