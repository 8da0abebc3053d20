"""One file to import, and what it is called where nobody says."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from django.utils.text import slugify

UNCATEGORISED = "Uncategorised"
ID_LIKE = re.compile(r"[0-9a-f-]{8,}|[\W\d_]+", re.IGNORECASE)  # a UUID, a hash, a number: no title


@dataclass(frozen=True)
class Failure:
    """A file or a line that was not imported. ``where``: the path in the folder, or the line of the CSV."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True)
class Values:
    """What the CSV says about a file. None: it does not say."""

    sku: str | None = None
    title: str | None = None
    price: Decimal | None = None
    category: str | None = None
    stock: int | None = None


@dataclass(frozen=True)
class Entry:
    """A file to import. ``name``: its path in the folder, with slashes. ``line``: where the CSV names it."""

    path: Path
    name: str
    values: Values = Values()
    line: int | None = None

    @property
    def where(self) -> str:
        return self.name if self.line is None else f"line {self.line} ({self.name})"

    @property
    def origin(self) -> str:
        """What identifies the file in later runs: its absolute path."""
        return str(self.path)

    @property
    def sku(self) -> str:
        return self.values.sku or self.derived_sku

    @property
    def derived_sku(self) -> str:
        """An SKU from the path: readable, and the same in every run."""
        start = slugify(Path(self.name).parent.name)[:40] or "item"
        return f"{start}-{hashlib.sha256(self.origin.encode()).hexdigest()[:10]}".upper()

    @property
    def category(self) -> str:
        return self.values.category or self._folder_category

    @property
    def title(self) -> str:
        if self.values.title:
            return self.values.title
        stem = Path(self.name).stem
        if ID_LIKE.fullmatch(stem):
            return f"{self._folder_category} {stem[:8].strip('-_ ')}"
        return readable(stem)[:200]

    @property
    def _folder_category(self) -> str:
        return readable(Path(self.name).parent.name)[:120] or UNCATEGORISED


Groups = dict[str, list[Entry]]  # the files of each product, by its SKU


def readable(name: str) -> str:
    """``summer_dresses`` as people write it: ``Summer dresses``."""
    words = re.sub(r"[_\s]+", " ", name).strip()
    return words[:1].upper() + words[1:]
