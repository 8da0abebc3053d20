"""Where vectors are kept."""

from __future__ import annotations

from functools import cache

from visualsearch.conf import conf
from visualsearch.stores.base import Condition as Condition
from visualsearch.stores.base import Neighbour as Neighbour
from visualsearch.stores.base import Store as Store


@cache
def _instance(path: str) -> Store:
    store: Store = conf.load("STORE")()
    return store


def get_store() -> Store:
    """The store named by the setting STORE."""
    return _instance(conf.STORE)
