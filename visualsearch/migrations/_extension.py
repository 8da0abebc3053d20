"""The migration operation that makes sure of pgvector, with an error that a shop owner can act on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.db.utils import NotSupportedError, OperationalError, ProgrammingError
from pgvector.django import VectorExtension

INSTALL = (
    "install it on the server (Debian and Ubuntu: apt-get install postgresql-17-pgvector, for your version of PostgreSQL; "
    "Docker: the image pgvector/pgvector:pg17)"
)


class RequireVector(VectorExtension):
    """CREATE EXTENSION vector, where it is missing."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            raise CommandError("visualsearch keeps its vectors in PostgreSQL; this database is another.")
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        except (NotSupportedError, OperationalError) as error:
            raise CommandError(f"The PostgreSQL server has no pgvector: {INSTALL}, then migrate again.") from error
        except ProgrammingError as error:
            raise CommandError(
                "This database user may not create the extension pgvector; as a superuser, run in this database: "
                "CREATE EXTENSION vector;"
            ) from error

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Leaves the extension: other tables of the shop may use it."""
