"""Visual search for Django shops: save a product image and it becomes searchable by how it looks.

The names below are imported when they are first used, so that importing the package loads no model, no Django
REST Framework and no queue.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visualsearch.search import Match as Match
    from visualsearch.search import Results as Results
    from visualsearch.search import product_state as product_state
    from visualsearch.search import search_by_image as search_by_image
    from visualsearch.search import similar_to as similar_to
    from visualsearch.sources import register as register

__version__ = "0.1.0"
__all__ = ["Match", "Results", "__version__", "product_state", "register", "search_by_image", "similar_to"]

_HOMES = {
    "register": "visualsearch.sources",
    "similar_to": "visualsearch.search",
    "search_by_image": "visualsearch.search",
    "product_state": "visualsearch.search",
    "Match": "visualsearch.search",
    "Results": "visualsearch.search",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
