"""Whether this process can answer searches: for load balancers, containers and whoever watches the shop.

A finding is a name and a code, and no more: what lies behind it is logged, since the page is open to everybody.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import Error, connections, router

from visualsearch import indexing
from visualsearch.exceptions import EncoderError
from visualsearch.models import ImageEmbedding, active_index
from visualsearch.sources import ImageSource, all_sources
from visualsearch.statements import settings_for

logger = logging.getLogger(__name__)

PATIENCE = 2_000  # milliseconds of one statement
OK = "ok"
EMPTY = "empty"  # nothing to search yet: no reason to keep customers away
FINE = (OK, EMPTY)


@dataclass(frozen=True)
class Finding:
    """What was looked at, of which source (empty: of none), and how it is: docs/operations.md lists the codes."""

    check: str
    code: str
    source: str = ""

    @property
    def is_fine(self) -> bool:
        return self.code in FINE


_last_said: list[Finding] = []


def findings() -> list[Finding]:
    """What a search needs, in the order in which it needs it; after what makes the rest pointless there is no more."""
    connection = connections[router.db_for_read(ImageEmbedding)]
    found: list[Finding] = []
    try:
        with settings_for(connection, f"SET LOCAL statement_timeout = {PATIENCE}; "):
            for finding in _looked_at():
                found.append(finding)
                if not finding.is_fine and not finding.source:
                    break
    except Error as error:
        found.append(Finding("database", "database_unavailable"))
        _say(found, type(error).__name__)
    else:
        _say(found)
    return found


def _say(found: list[Finding], why: str = "") -> None:
    """Logs what is wrong when that changes, not at each probe."""
    global _last_said
    wrong = [finding for finding in found if not finding.is_fine]
    if wrong != _last_said:
        words = ", ".join(f"{finding.source} {finding.check}: {finding.code} {why}".strip() for finding in wrong)
        logger.log(logging.WARNING if wrong else logging.INFO, "Searches: %s", words or "ready again")
    _last_said = wrong


def _looked_at() -> Iterator[Finding]:
    with connections[router.db_for_read(ImageEmbedding)].cursor() as cursor:
        cursor.execute(
            "SELECT exists(SELECT FROM pg_extension WHERE extname = 'vector'), to_regclass(%s) IS NOT NULL",
            [ImageEmbedding._meta.db_table],
        )
        extension, tables = cursor.fetchone()
    yield Finding("database", OK)
    yield Finding("extension", OK if extension else "extension_missing")
    yield Finding("tables", OK if tables else "tables_missing")
    for source in all_sources():
        yield from _of_source(source)


def _of_source(source: ImageSource) -> Iterator[Finding]:
    index = active_index(source)
    if index is None:
        yield Finding("version", "no_version" if source.with_file().exists() else EMPTY, source.name)
        return
    yield Finding("version", OK, source.name)
    try:
        indexing.encoder_of(index)  # finds the model's file, and reads it where it has changed; loads no model
    except EncoderError as error:
        yield Finding("model", error.code, source.name)
    except OSError:
        yield Finding("model", "model_unreadable", source.name)
    else:
        yield Finding("model", OK, source.name)
