"""What the products nearest to a query have in common: facets, and the neighbours' guess of a field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from visualsearch.search.fields import values_of
from visualsearch.search.results import Count, Guess
from visualsearch.sources import ImageSource

# Neighbours that a guess is made from. Odd numbers from 5 to 15 are customary for k-nearest-neighbour votes; more would
# outnumber a small category.
NEIGHBOURS = 9


def guesses(source: ImageSource, nearest: Sequence[Any], fields: Mapping[str, str]) -> dict[str, Guess | None]:
    """For each field the commonest value among the nearest products (keys, nearest first); of equals the nearer one's.

    None where none of them has a value. One query for each field.
    """
    found: dict[str, Guess | None] = {}
    for name, path in fields.items():
        values = values_of(source, nearest[:NEIGHBOURS], path)
        votes = Counter(values[key] for key in nearest[:NEIGHBOURS] if key in values)  # keeps the order of arrival
        value, count = next(iter(votes.most_common(1)), (None, 0))
        found[name] = Guess(value, round(count / votes.total(), 3)) if count else None
    return found


def counts(source: ImageSource, products: Sequence[Any], fields: Mapping[str, str]) -> dict[str, list[Count]]:
    """For each field how many of these products (keys) have each of its values, the commonest first; blank is none.

    One query for each field.
    """
    chosen = source.product_model._default_manager.filter(pk__in=products).order_by()
    found: dict[str, list[Count]] = {}
    for name, path in fields.items():
        having = chosen.filter(**{f"{path}__isnull": False}).values(path)
        counted = having.annotate(visualsearch_count=models.Count("pk", distinct=True))
        pairs = [pair for pair in counted.values_list(path, "visualsearch_count") if pair[0] != ""]
        found[name] = [Count(value, count) for value, count in sorted(pairs, key=lambda pair: (-pair[1], str(pair[0])))]
    return found
