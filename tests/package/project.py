"""A new Django project beside nothing of ours, on a database of its own."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.core.management import call_command
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.package.building import VirtualEnvironment
from tests.package.page import Block

TOURS = Path(__file__).parent / "tours"
RUN = "import django, runpy, sys; django.setup(); sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"


@contextmanager
def own_database() -> Iterator[dict[str, Any]]:
    """``DATABASES["default"]`` of a new, empty database on the tests' server."""
    url = os.environ["TEST_DATABASE_URL"]
    name = f"package_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            server = {key.upper(): value for key, value in conninfo_to_dict(url).items() if key != "dbname"}
            yield {"ENGINE": "django.db.backends.postgresql", **server, "NAME": name}
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class Project:
    """What ``django-admin startproject config .`` makes, with an app."""

    def __init__(self, folder: Path, environment: VirtualEnvironment, app: str, database: dict[str, Any]) -> None:
        self.folder = folder
        self.environment = environment
        folder.mkdir()
        (folder / app).mkdir()
        call_command("startproject", "config", str(folder))
        call_command("startapp", app, str(folder / app))
        self.append("config/settings.py", f"DATABASES = {{'default': {database!r}}}")
        self.append("config/settings.py", "MEDIA_ROOT = BASE_DIR / 'media'")

    def append(self, path: str, text: str) -> None:
        with (self.folder / path).open("a") as file:
            file.write(f"\n{text}\n")

    def apply(self, examples: Iterable[Block]) -> None:
        """Settings and addresses are added to, other files are written whole."""
        for block in examples:
            if block.path.startswith("config/"):
                self.append(block.path, block.text)
            else:
                (self.folder / block.path).write_text(block.text)

    def without_admin(self) -> None:
        """A project that has no admin, and nothing that only the admin needs."""
        self.append("config/settings.py", "INSTALLED_APPS.remove('django.contrib.admin')")
        (self.folder / "config" / "urls.py").write_text("from django.urls import path\n\nurlpatterns = []\n")

    def tour(self, name: str, *arguments: str | Path) -> dict[str, Any]:
        """The JSON object that a script of tests/package/tours prints, run with the project's settings."""
        script = TOURS / f"{name}.py"
        printed = self.environment.run("-c", RUN, script, *arguments, cwd=self.folder, env=self._variables)
        shown: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return shown

    def running(self, *arguments: str) -> AbstractContextManager[None]:
        """A manage.py command that stays, such as the worker."""
        log = self.folder / f"{arguments[0]}.log"
        return self.environment.running("manage.py", *arguments, cwd=self.folder, env=self._variables, log=log)

    @property
    def _variables(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder), "DJANGO_SETTINGS_MODULE": "config.settings"}
