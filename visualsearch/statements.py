"""Settings of PostgreSQL that hold for one statement."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


class SentTogether:
    """Puts settings in front of each statement of the block, in one round trip and one transaction.

    Several statements in one simple query run as one transaction, so SET LOCAL lasts for exactly that statement.
    """

    def __init__(self, connection: BaseDatabaseWrapper, settings: str) -> None:
        self.settings = settings
        self.wrapper = connection.execute_wrapper(self)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(self.settings + sql, params, many, context)
        cursor = context["cursor"].cursor
        while cursor.nextset():
            pass
        return result

    def __enter__(self) -> None:
        self.wrapper.__enter__()

    def __exit__(self, *exc: Any) -> None:
        self.wrapper.__exit__(*exc)
