"""Locks that PostgreSQL keeps for a session: they end with the process that took them, however it ends."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from enum import IntEnum

from django.db.backends.base.base import BaseDatabaseWrapper


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
