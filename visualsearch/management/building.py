"""What commands that build index versions share."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from tqdm import tqdm

from visualsearch import indexing, lifecycle
from visualsearch.conf import conf
from visualsearch.indexing import Outcome
from visualsearch.models import VisualIndex
from visualsearch.sources import ImageSource


def build_here(
    index: VisualIndex, source: ImageSource, stderr: OutputWrapper, *, chunk: int, rate: float | None = None
) -> Outcome:
    """Builds the version in this process, with a bar that says how far it is and how long it will take."""
    total = indexing.out_of_date(index, source).count()
    with bar(total, f"{source} v{index.pk}", stderr) as progress:
        return lifecycle.build(index, source, chunk=chunk, rate=rate, report=progress.update)


def bar(total: int, label: str, stderr: OutputWrapper) -> Any:
    """A tqdm bar on a terminal; nothing where the output is a file or there is nothing to do."""
    return tqdm(total=total, desc=label, unit="image", file=stderr, disable=None if total else True)


def checked_chunk(given: int | None) -> int:
    """``--chunk``, or the setting. Raises CommandError."""
    chunk = conf.CHUNK if given is None else given
    if chunk < 1:
        raise CommandError("--chunk must be 1 or more.")
    return int(chunk)


def described(outcome: Outcome) -> str:
    """The counts of a run in words."""
    parts = {
        "indexed": outcome.indexed,
        "unchanged": outcome.unchanged,
        "removed": outcome.removed,
        "superseded": outcome.superseded,
        "failed": outcome.failed,
        "to try again": sum(map(len, outcome.retry.values())),
    }
    named = [f"{count} {name}" for name, count in parts.items() if count or name in ("indexed", "failed")]
    return ", ".join(named)
