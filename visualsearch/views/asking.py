"""What a page's address or form asks for. Names that nobody knows are ignored: addresses are passed on and added to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext_lazy

from visualsearch.exceptions import InvalidLimit, InvalidOption
from visualsearch.search import Wishes, checked_limit
from visualsearch.search.fields import declared_fields
from visualsearch.sources import ImageSource

VARIETY = "variety"
DIVERSITY = 0.5  # of ``VARIETY``: likeness and variety count the same
ORDERS: Mapping[str, Any] = {"": gettext_lazy("Most alike first"), VARIETY: gettext_lazy("More variety")}


@dataclass(frozen=True)
class Asked:
    """``like`` and ``unlike`` are keys of products as text, ``sort`` a key of ``orders_of``, ``start`` how many of a
    sorted list were shown before."""

    limit: int
    filters: QueryDict = field(default_factory=QueryDict)
    like: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    sort: str = ""
    cursor: str = ""
    start: int = 0

    @property
    def by_field(self) -> bool:
        """Whether the order is another than the search's own."""
        return self.sort not in ORDERS

    @property
    def goes_on(self) -> bool:
        """Whether it is a later page of a list."""
        return bool(self.cursor or self.start)

    def wishes(self, source: ImageSource) -> Wishes:
        """The options of the search."""
        wishes: Wishes = {"like": self.like, "unlike": self.unlike}
        if not self.by_field:
            wishes["cursor"] = self.cursor
        if self.sort == VARIETY:
            wishes["diversity"] = DIVERSITY
        if counted := [name for name in declared_fields(source) if not self.filters.getlist(name)]:
            wishes["facets"] = counted if not self.goes_on else []
        return wishes


def asked(source: ImageSource, given: QueryDict) -> Asked:
    """Raises InvalidLimit, InvalidOption."""
    sort = given.get("sort", "")
    if sort not in orders_of(source):
        raise InvalidOption(f"sort must be one of {', '.join(map(repr, orders_of(source)))}, not {sort!r}.")
    like, unlike = feedback(given)
    return Asked(
        limit=checked_limit(_number("limit", given)),
        filters=filters_of(source, given),
        like=like,
        unlike=unlike,
        sort=sort,
        cursor=given.get("cursor", ""),
        start=_number("start", given) or 0,
    )


def orders_of(source: ImageSource) -> dict[str, Any]:
    """Labels of the orders that a list may have: ours, and those that the shop's FilterSet names in ``sort``."""
    return {**ORDERS, **(getattr(source.filterset_class, "sort", {}) if source.filterset else {})}


def feedback(given: QueryDict) -> tuple[list[str], list[str]]:
    """Products that the customer wants more of, and less of: those of before, and what a button just said."""
    more, less, forgotten = (set(given.getlist(name)) for name in ("more_like", "less_like", "forget"))
    like = [key for key in [*given.getlist("like"), *more] if key not in forgotten | less and key]
    unlike = [key for key in [*given.getlist("unlike"), *less] if key not in forgotten | more and key]
    return list(dict.fromkeys(like)), list(dict.fromkeys(unlike))


def filters_of(source: ImageSource, given: QueryDict) -> QueryDict:
    """The part of the query that the source's filters know, without what a form sends for fields left empty."""
    known = source.filterset_class.get_filters() if source.filterset and "clear" not in given else {}
    wanted = QueryDict(mutable=True)
    for name in known:
        if values := [value for value in given.getlist(name) if value]:
            wanted.setlist(name, values)
    return wanted


def _number(name: str, given: QueryDict) -> int | None:
    text = given.get(name, "")
    try:
        return int(text) if text else None
    except ValueError as error:
        raise InvalidLimit(f"{name} must be a whole number.") from error
