"""Locks that PostgreSQL keeps for a session: they end with the process that took them, however it ends. And how long
anybody waits for a lock of somebody else."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from enum import IntEnum

from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from visualsearch.statements import settings_first

WAIT = 5.0  # seconds that a transaction of ours waits for a lock of somebody else's
FROZEN = 60.0  # seconds after which the server ends one of ours that does nothing: its process hangs, or its machine
LOCK_NOT_AVAILABLE = "55P03"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


class Space(IntEnum):
    """First half of our advisory locks' keys: what is locked."""

    GRAPH = 0x5653  # by number of the index version: its database index is being made
    ROWS = 0x5654  # by number of the index version: its rows are being made
    SOURCE = 0x5655  # by name of the source: its versions are being changed


@contextlib.contextmanager
def advisory_lock(connection: BaseDatabaseWrapper, space: Space, number: int) -> Iterator[bool]:
    """Whether this session got the lock; it is given back at the end.

    Inside a transaction the lock goes with it, since a failed one takes no more commands.
    """
    key = (int(space), number)
    within = connection.in_atomic_block
    kind = "pg_try_advisory_xact_lock" if within else "pg_try_advisory_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {kind}(%s, %s)", key)
        ours = bool(cursor.fetchone()[0])
    try:
        yield ours
    finally:
        if ours and not within:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


@contextlib.contextmanager
def short_transaction(using: str) -> Iterator[None]:
    """A transaction that neither waits for ever nor has others wait for ever. Inside one of the caller's, whose own
    settings hold, it is a savepoint.

    Raises OperationalError after WAIT seconds for a lock: see ``waited_too_long``.
    """
    connection = connections[using]
    settings = (
        f"SET LOCAL lock_timeout = {round(WAIT * 1000):d};"
        f" SET LOCAL idle_in_transaction_session_timeout = {round(FROZEN * 1000):d}; "
    )
    within = connection.in_atomic_block
    with transaction.atomic(using=using), contextlib.nullcontext() if within else settings_first(connection, settings):
        yield


def waited_too_long(error: OperationalError) -> bool:
    """Whether that is what the database says."""
    return getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE


@contextlib.contextmanager
def lock_timeout(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[None]:
    """Outside transactions: no statement of the block waits longer for a lock, or for transactions of others to end."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, false)",
            [f"{round(seconds * 1000)}"],
        )
        before = cursor.fetchone()[0]
    try:
        yield
    finally:
        with contextlib.suppress(DatabaseError), connection.cursor() as cursor:  # the session may be gone
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])


def long_transaction(connection: BaseDatabaseWrapper, seconds: float) -> str:
    """The session whose transaction has been open for longest, and for that long, as far as this user may see it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, coalesce(usename, ''), coalesce(nullif(application_name, ''), 'an unnamed program'),"
            " to_char(xact_start, 'HH24:MI:SS') FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            " AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"
            " AND clock_timestamp() - xact_start > make_interval(secs => %s) ORDER BY xact_start LIMIT 1",
            [seconds],
        )
        row = cursor.fetchone()
    return f"database session {row[0]} ({row[1]}, {row[2]}, since {row[3]})" if row else ""


def number_of(name: str) -> int:
    """A name as the second half of a key: 31 bits."""
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def holder(connection: BaseDatabaseWrapper, space: Space, number: int) -> str:
    """Who holds the lock, as far as the server tells: its process number there, its address and since when."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.pid, coalesce(host(a.client_addr), 'this machine'), to_char(a.backend_start, 'HH24:MI:SS')"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1",
            (int(space), number),
        )
        row = cursor.fetchone()
    return f"database session {row[0]}, from {row[1]}, connected at {row[2]}" if row else "a session that just ended"
