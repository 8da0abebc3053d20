"""How near two pictures are that are nearly the same, by the distances that an index version itself has."""

from __future__ import annotations

from visualsearch.models import VisualIndex


def same_within(index: VisualIndex) -> float:
    return 0.03
