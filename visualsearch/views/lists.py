"""From what is asked to what is shown: a list of products, in the search's own order or in one of the shop's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from visualsearch.conf import conf
from visualsearch.search import Match, Results
from visualsearch.search.options import Wishes
from visualsearch.sources import Filters, ImageSource
from visualsearch.views.asking import Asked

Search = Callable[[int, Filters, Wishes], Results]


@dataclass(frozen=True)
class Shown:
    """A part of the list, and where it goes on: ``cursor`` or ``start``, or neither. ``among`` is how many of the
    products nearest to the query were put in another order; 0 where the order is the search's own."""

    results: Results
    matches: list[Match]
    cursor: str = ""
    start: int = 0
    among: int = 0

    @property
    def more(self) -> bool:
        return bool(self.cursor or self.start)


def shown(source: ImageSource, asked: Asked, search: Search) -> Shown:
    """What ``search(limit, filters, wishes)`` answers, in the order that is asked for."""
    wishes = asked.wishes(source)
    if not asked.by_field:
        results = search(asked.limit, asked.filters, wishes)
        return Shown(results, list(results), cursor=results.next or "")
    results = search(conf.MAX_LIMIT, asked.filters, wishes)
    ordered = _in_order(source, results, asked.sort)
    end = max(0, asked.start) + asked.limit
    start = end if end < len(ordered) else 0
    return Shown(results, ordered[max(0, asked.start) : end], start=start, among=len(ordered))


def _in_order(source: ImageSource, results: Results, field: str) -> list[Match]:
    """The matches by a field of their products, a column of one query; equals as alike as they are."""
    keys = [match.product.pk for match in results]
    values: dict[Any, Any] = dict(
        source.product_model._default_manager.filter(pk__in=keys).values_list("pk", field.removeprefix("-"))
    )
    known = [match for match in results if values.get(match.product.pk) is not None]
    known.sort(key=lambda match: values[match.product.pk], reverse=field.startswith("-"))
    return known + [match for match in results if values.get(match.product.pk) is None]
