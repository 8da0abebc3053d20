"""What a search may be asked for beside limit and filters, checked before anything is looked up."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from django.db.models import Model

from visualsearch.conf import conf
from visualsearch.exceptions import InvalidLimit, InvalidOption
from visualsearch.search.fields import declared_fields
from visualsearch.sources import Filters, ImageSource

MAX_FEEDBACK = 50  # products liked, and as many not liked, in one search
MAX_EXPLAINED = 24  # results of one answer: each one's picture is read and looked at
AUTO = "auto"  # the one value of ``focus``


class Wishes(TypedDict, total=False):
    """Options of ``similar_to`` and ``search_by_image``, in Python and in the API by the same names.

    ``cursor`` "" begins a list that can be paged through, to 1,000 results; that of ``Results.next`` goes on with it.
    ``like`` and ``unlike`` are products or their keys; results never hold them, nor the product searched with, unless
    ``include_query``. ``group_by`` shows the best of each value of a field, ``fold`` one of several nearly identical
    pictures, ``diversity`` (0 to 1) trades likeness for variety, ``min_score`` (0 to 100) cuts what scores less.
    ``guess`` and ``facets`` name fields to be guessed from the neighbours, and to be counted.

    ``focus`` "auto" searches for what a photo is of, and ``objects`` for each of the things in it; both look at a
    photo, so not for a product or a token. ``explain`` says what made each result match.
    """

    cursor: str | None
    like: Sequence[Any]
    unlike: Sequence[Any]
    include_query: bool
    group_by: str | None
    fold: bool
    diversity: float
    min_score: float | None
    guess: Sequence[str]
    facets: Sequence[str]
    focus: str | None
    objects: bool
    explain: bool


@dataclass(frozen=True)
class Options:
    """The same, checked. Fields are paths from the product, by name."""

    limit: int
    cursor: str | None = None
    like: tuple[Any, ...] = ()
    unlike: tuple[Any, ...] = ()
    include_query: bool = False
    group_by: tuple[str, str] | None = None
    fold: bool = False
    diversity: float = 0.0
    min_score: float | None = None
    guess: Mapping[str, str] | None = None
    facets: Mapping[str, str] | None = None
    focus: bool = False
    objects: bool = False
    explain: bool = False

    @property
    def of_parts(self) -> bool:
        """Whether parts of the photo are looked at."""
        return self.focus or self.objects

    @property
    def in_tiers(self) -> bool:
        """Whether more than the ``limit`` nearest have to be looked at."""
        return self.cursor is not None or self.fold or bool(self.group_by or self.diversity or self.guess)


def checked_limit(limit: int | None, *, explain: bool = False) -> int:
    """The limit, or the default. Raises InvalidLimit outside 1 to MAX_LIMIT, or with ``explain`` to MAX_EXPLAINED."""
    most = min(int(conf.MAX_LIMIT), MAX_EXPLAINED) if explain else int(conf.MAX_LIMIT)
    if limit is None:
        return min(int(conf.DEFAULT_LIMIT), most)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= most:
        asked = " with explain" if explain else ""
        raise InvalidLimit(f"limit must be a whole number from 1 to {most}{asked}, not {limit!r}.")
    return limit


def checked(source: ImageSource, limit: int | None, wishes: Wishes, *, photo: bool = False) -> Options:
    """``photo``: there is a picture to look at. Raises InvalidLimit and InvalidOption."""
    if unknown := sorted(set(wishes) - set(Wishes.__annotations__)):
        valid = ", ".join(sorted(Wishes.__annotations__))
        raise InvalidOption(f"Unknown option: {', '.join(unknown)}. Options: {valid}.")
    group_by = wishes.get("group_by")
    min_score = wishes.get("min_score")
    cursor = wishes.get("cursor")
    if cursor is not None and not isinstance(cursor, str):
        raise InvalidOption(f"cursor must be a text, not {cursor!r}.")
    explain = _switch("explain", wishes.get("explain", False))
    return Options(
        limit=checked_limit(limit, explain=explain),
        cursor=cursor,
        like=_keys("like", wishes.get("like", ())),
        unlike=_keys("unlike", wishes.get("unlike", ())),
        include_query=_switch("include_query", wishes.get("include_query", False)),
        group_by=next(iter(_fields(source, "group_by", [group_by]).items())) if group_by is not None else None,
        fold=_switch("fold", wishes.get("fold", False)),
        diversity=_number("diversity", wishes.get("diversity", 0.0), 1),
        min_score=None if min_score is None else _number("min_score", min_score, 100),
        guess=_fields(source, "guess", wishes.get("guess", ())) or None,
        facets=_fields(source, "facets", wishes.get("facets", ())) or None,
        explain=explain,
        **_of_parts(wishes, photo),
    )


def _of_parts(wishes: Wishes, photo: bool) -> dict[str, bool]:
    """The options that look at parts of a photo."""
    focus = wishes.get("focus")
    if focus not in (None, AUTO):
        raise InvalidOption(f"focus must be {AUTO!r}, not {focus!r}.")
    asked = {"focus": focus == AUTO, "objects": _switch("objects", wishes.get("objects", False))}
    if not photo and (names := [name for name, wanted in asked.items() if wanted]):
        raise InvalidOption(f"{' and '.join(names)}: only a search by photo has a picture to look at, so send one.")
    return asked


def digest(options: Options, filters: Filters | None) -> bytes:
    """Of what decides which results come in which order: the filters and all options but limit, cursor and counts."""
    order = [
        [str(key) for key in sorted(options.like, key=str)],
        [str(key) for key in sorted(options.unlike, key=str)],
        options.include_query,
        options.group_by,
        options.fold,
        options.diversity,
        options.min_score,
        sorted((name, values) for name, values in _values(filters or {}) if values),
    ]
    return hashlib.sha256(json.dumps(order).encode()).digest()


def _values(filters: Filters) -> Iterable[tuple[str, list[str]]]:
    getlist = getattr(filters, "getlist", None)
    for name in filters:
        value = getlist(name) if getlist else filters[name]
        values = value if isinstance(value, list | tuple | set | frozenset) else [value]
        yield name, sorted(str(one) for one in values if one not in (None, ""))


def _keys(name: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        given = [given]
    keys = tuple(dict.fromkeys(one.pk if isinstance(one, Model) else one for one in given))
    if len(keys) > MAX_FEEDBACK:
        raise InvalidOption(f"{name} takes at most {MAX_FEEDBACK} products, not {len(keys)}.")
    return keys


def _switch(name: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise InvalidOption(f"{name} must be true or false, not {given!r}.")
    return given


def _number(name: str, given: Any, highest: int) -> float:
    number = float(given) if isinstance(given, int | float) and not isinstance(given, bool) else math.nan
    if not 0 <= number <= highest:
        raise InvalidOption(f"{name} must be a number from 0 to {highest}, not {given!r}.")
    return number


def _fields(source: ImageSource, name: str, given: Any) -> dict[str, str]:
    wanted = [given] if isinstance(given, str) else list(given)
    if not wanted:
        return {}
    declared = declared_fields(source)
    if unknown := [str(field) for field in wanted if field not in declared]:
        valid = ", ".join(sorted(declared)) or "none, since no filter compares a field with a value"
        raise InvalidOption(f"{name}: unknown field: {', '.join(unknown)}. Fields: {valid}.")
    return {field: declared[field] for field in wanted}
