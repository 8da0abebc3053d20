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
from unittest.mock import Mock

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client

from tests import shelf
from tests.processes import ROOT
from visualsearch.exceptions import EncoderError
from visualsearch.stores.pgvector import PgVectorStore
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


WHOLE = shelf.picture() + INSIDE
# What goes wrong: the photo, where we fail and with what, the status, and what the search is counted as.
CASES: list[tuple[bytes, tuple[type, str, Exception] | None, int, str]] = [
    (WHOLE, None, 200, "answered"),
    (INSIDE, None, 400, "refused"),
    (WHOLE[:60], None, 400, "refused"),
    (WHOLE, (FakeEncoder, "embed", EncoderError("The encoder returned a vector that is zero.")), 503, "failed"),
    (WHOLE, (PgVectorStore, "search", RuntimeError("what nobody foresaw")), 500, "failed"),
    (WHOLE, (PgVectorStore, "search", OperationalError("the connection is closed")), 503, "failed"),
]


def test_nothing_of_a_customer_is_logged(
    db: None, counting: None, use_settings: Any, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(PHOTO_RATE="1000/min")
    shelf.make_product(shelf.picture(), shelf.picture("blue"))
    shelf.index_everything()
    client = Client(raise_request_exception=False)
    assert client.post(f"{API}?price_max=Anna", {"image": photo(WHOLE)}).status_code == 400
    for content, fault, status, outcome in CASES:
        with monkeypatch.context() as patch:
            if fault:
                owner, name, error = fault
                patch.setattr(owner, name, Mock(side_effect=error))
            assert set(search_everywhere(client, content)) == {status}
        text = lines.getvalue()
        lines.seek(0)
        lines.truncate()
        assert not [word for word in PRIVATE if word in text], text
        records = [json.loads(line) for line in text.splitlines()]
        assert all({"time", "level", "logger", "message"} <= set(record) for record in records)
        searched = [record for record in records if record["logger"] == "visualsearch.usage"]
        assert searched[-1]["outcome"] == outcome
        # The page asks for more first than this encoder can do, and the filter's value above was refused.
        assert {record["outcome"] for record in searched} <= {outcome, "refused"}
        assert all((one["source"], one["kind"]) == ("product", "photo") and one["ms"] > 0 for one in searched)
        assert any(record["level"] == "ERROR" for record in records) is bool(fault), "who runs the shop is told"
