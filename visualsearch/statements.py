"""Settings of PostgreSQL that hold for the statements of a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper


@contextlib.contextmanager
def settings_for(
    connection: BaseDatabaseWrapper, settings: str, beginning: str = "", params: Sequence[Any] = ()
) -> Iterator[None]:
    """Runs the block's statements under ``settings``, ``SET LOCAL`` statements that each end in ``; ``.

    ``beginning``, such as a ``WITH`` clause with its parameters, is put in front of each of the block's statements.

    They travel in front of each statement, in its own round trip and transaction: several statements in one simple
    query run as one transaction. A connection that binds parameters on the server takes one statement at a time, so
    there the block becomes a transaction that begins with them. Inside a transaction of the caller they hold until its
    end.
    """
    if binds_on_server(connection):
        with transaction.atomic(using=connection.alias):
            with connection.cursor() as cursor:
                cursor.execute(settings)
            with connection.execute_wrapper(_together(beginning, params)):
                yield
        return

    with connection.execute_wrapper(_together(settings + beginning, params)):
        yield


@contextlib.contextmanager
def settings_first(connection: BaseDatabaseWrapper, settings: str) -> Iterator[None]:
    """The same for a block that is a transaction already: they go in front of its first statement."""
    if binds_on_server(connection):
        with connection.cursor() as cursor:
            cursor.execute(settings)
        yield
        return
    wrapper = _together(settings)

    def first(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal wrapper
        sent, wrapper = wrapper, _as_it_is
        return sent(execute, sql, params, many, context)

    with connection.execute_wrapper(first):
        yield


def _as_it_is(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    return execute(sql, params, many, context)


def _together(beginning: str, params: Sequence[Any] = ()) -> Any:
    def together(execute: Any, sql: str, given: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(beginning + sql, (*params, *(given or ())) if params else given, many, context)
        cursor = context["cursor"].cursor
        while cursor.nextset():
            pass
        return result

    return together


def binds_on_server(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database's OPTIONS have ``server_side_binding`` on."""
    return bool((connection.settings_dict.get("OPTIONS") or {}).get("server_side_binding"))
