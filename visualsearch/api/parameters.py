"""Parameters of an address or a form as what a search takes: limit, options, and the rest as the shop's filters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from visualsearch.exceptions import InvalidOption
from visualsearch.search import Wishes, checked_limit
from visualsearch.search.reserved import RESERVED
from visualsearch.sources import Filters

SWITCHES = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    limit: int
    filters: Filters
    options: Wishes
    box: str | None = None
    query: str | None = None


def asked(given: QueryDict, ignored: Iterable[str], *, photo: bool = False) -> Asked:
    """Raises InvalidLimit, InvalidOption. ``photo``: the request may hold a box and a query token too.

    An option that is empty, as forms send what was left free, is not asked for; but for the cursor, which says so that
    the list begins.
    """
    filters = given.copy()
    for name in RESERVED.union(ignored) - (set() if photo else {"box", "query"}):
        filters.pop(name, None)
    options: Wishes = {}
    if "cursor" in given:
        options["cursor"] = str(given.get("cursor") or "")
    if like := _filled(given, "like"):
        options["like"] = like
    if unlike := _filled(given, "unlike"):
        options["unlike"] = unlike
    if text := given.get("include_query"):
        options["include_query"] = _switch("include_query", text)
    if text := given.get("fold"):
        options["fold"] = _switch("fold", text)
    if text := given.get("group_by"):
        options["group_by"] = text
    if text := given.get("diversity"):
        options["diversity"] = _number("diversity", text)
    if text := given.get("min_score"):
        options["min_score"] = _number("min_score", text)
    if names := _names(given, "guess"):
        options["guess"] = names
    if names := _names(given, "facets"):
        options["facets"] = names
    if text := given.get("focus"):
        options["focus"] = text
    if text := given.get("objects"):
        options["objects"] = _switch("objects", text)
    if text := given.get("explain"):
        options["explain"] = _switch("explain", text)
    extra = {name: given.get(name) or None for name in ("box", "query")} if photo else {}
    return Asked(_limit(given, explain=options.get("explain", False)), filters, options, **extra)


def explains(given: QueryDict) -> bool:
    """Whether results' pictures are to be looked at, which costs more than a search for a photo."""
    return SWITCHES.get(str(given.get("explain") or "").lower(), False)


def _limit(given: QueryDict, *, explain: bool) -> int:
    if "limit" not in given:
        return checked_limit(None, explain=explain)
    text: Any = given["limit"]
    return checked_limit(int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text, explain=explain)


def _filled(given: QueryDict, name: str) -> list[str]:
    return [str(value) for value in given.getlist(name) if value != ""]


def _names(given: QueryDict, name: str) -> list[str]:
    """``facets=category,colour`` and ``facets=category&facets=colour`` are the same."""
    return [part.strip() for value in _filled(given, name) for part in value.split(",") if part.strip()]


def _switch(name: str, text: str) -> bool:
    try:
        return SWITCHES[text.lower()]
    except KeyError:
        raise InvalidOption(f"{name} must be true or false, not {text!r}.") from None


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidOption(f"{name} must be a number, not {text!r}.") from None
