"""What is logged about searches: what went wrong, in lines that a program can read, and nothing of customers."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client

from tests import shelf
from tests.processes import ROOT
from visualsearch.exceptions import EncoderError
from visualsearch.stores import get_store
from visualsearch.testing import FakeEncoder

API, PAGE = "/api/visualsearch/product/search/", "/visual-search/product/photo/"
NAME = "Anna Mustermann passport.png"
INSIDE = b"taken at 52.5200,13.4050 by Anna"
FILTER = "31337.55"  # a price that the customer filters by
PRIVATE = ("Anna", "Mustermann", "52.5200", FILTER, "203.0.113.77", "anna@example.org")


def example() -> dict[str, Any]:
    """LOGGING as the page has it."""
    page = (Path(ROOT) / "docs" / "operations.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    return names["LOGGING"]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the page's example writes, with every line of ours, be it ever so fine."""
    written = io.StringIO()
    config = example()
    config["handlers"]["console"]["stream"] = written
    config["loggers"]["visualsearch"]["level"] = "DEBUG"
    config["loggers"]["django"]["level"] = "INFO"
    loggers = [logging.getLogger(name) for name in config["loggers"]]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    logging.config.dictConfig(config)
    yield written
    for logger, handlers, level, propagate in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def photo(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(NAME, content, "image/png")


def search_everywhere(client: Client, content: bytes) -> list[int]:
    """By API and by page, with a filter, an address and headers of a customer's own."""
    about = {"REMOTE_ADDR": "203.0.113.77", "headers": {"from": "anna@example.org", "referer": f"/?q={FILTER}"}}
    query = f"?price_max={FILTER}"
    return [client.post(f"{place}{query}", {"image": photo(content)}, **about).status_code for place in (API, PAGE)]


@pytest.mark.parametrize("how", ["well", "no picture", "broken off", "encoder", "store", "database", "filter"])
def test_nothing_of_a_customer_is_logged(
    db: None,
    counting: None,
    use_settings: Any,
    lines: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    use_settings(PHOTO_RATE="1000/min")
    shelf.make_product(shelf.picture(), shelf.picture("blue"))
    shelf.index_everything()
    whole = shelf.picture() + INSIDE
    content, expected = {"no picture": (INSIDE, 400), "broken off": (whole[:60], 400)}.get(how, (whole, 200))
    faults: dict[str, tuple[type, str, Exception]] = {
        "encoder": (FakeEncoder, "embed", EncoderError("The encoder returned a vector that is zero.")),
        "store": (type(get_store()), "search", RuntimeError("what nobody foresaw")),
        "database": (type(get_store()), "search", OperationalError("the connection is closed")),
    }
    client = Client(raise_request_exception=False)
    with monkeypatch.context() as patch:
        if how in faults:
            owner, name, fault = faults[how]

            def fail(*args: Any, **kwargs: Any) -> None:
                raise fault

            patch.setattr(owner, name, fail)
            expected = 503 if how != "store" else 500
        if how == "filter":
            wrong = client.post(f"{API}?price_max=Anna", {"image": photo(whole)})
            assert wrong.status_code == 400
        found = search_everywhere(client, content)
    assert set(found) == {expected}
    text = lines.getvalue()
    assert not [word for word in PRIVATE if word in text], text
    records = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(record) for record in records)
    searched = [record for record in records if record["logger"] == "visualsearch.usage"]
    outcomes = {"well": "answered", "filter": "answered", "no picture": "refused", "broken off": "refused"}
    expected_outcome = outcomes.get(how, "failed")
    assert searched[-1]["outcome"] == expected_outcome
    # The page asks for more first than this encoder can do.
    assert {record["outcome"] for record in searched} <= {expected_outcome, "refused"}
    assert all(record["source"] == "product" and record["kind"] == "photo" and record["ms"] > 0 for record in searched)
    if how in faults:
        assert any(record["level"] == "ERROR" for record in records), "who runs the shop is told"
