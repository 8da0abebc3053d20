"""The database server, pgvector in it, and visualsearch's own tables."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.db import Error, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from visualsearch.doctor.finding import Finding, Verdict, in_words
from visualsearch.models import ImageEmbedding
from visualsearch.stores import get_store
from visualsearch.stores.pgvector import PgVectorStore

PATIENCE = 5  # seconds to reach the server, where the settings do not say


def used() -> BaseDatabaseWrapper:
    """The connection to the database that holds the vectors."""
    return connections[router.db_for_read(ImageEmbedding)]


def server() -> Iterator[Finding]:
    """Reached by a connection of its own, since one that is open already says nothing of a new one."""
    connection = used().copy()
    alias = connection.alias
    if connection.vendor != "postgresql" and isinstance(get_store(), PgVectorStore):
        todo = f"Give DATABASES[{alias!r}] the ENGINE django.db.backends.postgresql."
        yield Finding("database", Verdict.WRONG, f"Database {alias!r} is {connection.vendor}, not PostgreSQL.", todo)
        return
    options = connection.settings_dict.setdefault("OPTIONS", {})
    options.setdefault("connect_timeout", PATIENCE)
    start = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version'), current_database()")
            release, name = cursor.fetchone()
    except Error as error:
        yield Finding(
            "database", Verdict.WRONG, f"Database {alias!r} does not answer: {in_words(error)}.", _todo(alias)
        )
        return
    finally:
        connection.close()
    milliseconds = (time.perf_counter() - start) * 1000
    said = f"PostgreSQL {release.partition(' ')[0]} with database {name!r} answers in {milliseconds:.0f} ms."
    yield Finding("database", Verdict.OK, said)


def _todo(alias: str) -> str:
    return (
        f"Start the PostgreSQL server, or correct HOST, PORT, NAME, USER and PASSWORD of DATABASES[{alias!r}] "
        "(DATABASE_URL, where your settings read it)."
    )


def extension() -> Iterator[Finding]:
    """On the server and in this very database."""
    store = get_store()
    for message in store.check():
        verdict = Verdict.WRONG if message.is_serious() else Verdict.ADVICE
        yield Finding("extension", verdict, f"{message.msg} ({message.id})", message.hint or "")
        if message.is_serious():
            return
    if not isinstance(store, PgVectorStore):
        yield Finding("extension", Verdict.OK, f"{type(store).__name__} finds nothing wrong with itself.")
        return
    with used().cursor() as cursor:
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        row = cursor.fetchone()
    if row is None:
        yield Finding(
            "extension",
            Verdict.WRONG,
            "The server has pgvector, but this database does not.",
            "Run: manage.py migrate. Where its user may not, run in this database as a superuser: "
            "CREATE EXTENSION vector;",
        )
    else:
        yield Finding("extension", Verdict.OK, f"pgvector {row[0]}.")


def tables() -> Iterator[Finding]:
    """Whether all of the app's migrations were run."""
    executor = MigrationExecutor(used())
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes("visualsearch"))
    waiting = [migration.name for migration, _ in plan if migration.app_label == "visualsearch"]
    if waiting:
        said = f"{len(waiting)} migrations were not run: {', '.join(waiting)}."
        yield Finding("tables", Verdict.WRONG, said, "Run: manage.py migrate")
    else:
        yield Finding("tables", Verdict.OK, "All migrations of visualsearch were run.")
