"""docs/operations.md says what is so: its codes, permissions, alarms and commands are real ones."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.db import connection

from tests import shelf
from tests.processes import ROOT, environment
from tests.test_docker import embedded
from visualsearch import exceptions, health
from visualsearch.admin.operations import OPERATIONS
from visualsearch.models import ImageEmbedding, IndexedSource

PAGE = (Path(ROOT) / "docs" / "operations.md").read_text()
RULES = yaml.safe_load((Path(ROOT) / "docs" / "prometheus-alerts.yml").read_text())["groups"][0]["rules"]


def console_lines() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def commands() -> list[str]:
    """Every manage.py command of the page, in a block or in a sentence."""
    said = re.findall(r"`(python manage\.py [^`]+)`", PAGE)
    return sorted({*said, *(line for line in console_lines() if line.startswith("python manage.py"))})


def test_codes_of_health() -> None:
    source = (Path(ROOT) / "visualsearch" / "health" / "__init__.py").read_text()
    ours = {code for code in re.findall(r'"([a-z_]+)"', source) if "_" in code} | set(health.FINE)
    ours |= {kind.code for kind in vars(exceptions).values() if isinstance(kind, type) and _of_a_model(kind)}
    table = PAGE[PAGE.index("| code | what is wrong") : PAGE.index("The answers hold nothing else")]
    named = {code for row in re.findall(r"^\| (`[^|]+`) \|", table, re.M) for code in re.findall(r"`(\w+)`", row)}
    assert named == ours


def _of_a_model(kind: type) -> bool:
    """NoFeatureMap is said by a search alone."""
    return issubclass(kind, exceptions.EncoderError) and kind is not exceptions.NoFeatureMap


def test_permissions_are_those_of_the_buttons() -> None:
    named = set(re.findall(r"`visualsearch\.(\w+_indexedsource)`", PAGE))
    declared = {codename for codename, _ in IndexedSource._meta.permissions} | {"view_indexedsource"}
    assert named == declared
    assert {f"{one.permission}_indexedsource" for one in OPERATIONS} | {"view_indexedsource"} == declared
    table = PAGE[PAGE.index("| button |") : PAGE.index("shows the page without buttons")]
    assert all(str(one.label) in table for one in OPERATIONS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alarms_ask_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    metrics = set(re.findall(r"^\| `(visualsearch_\w+)", PAGE, re.M))
    asked = {name.removesuffix("_bucket") for name in re.findall(r"visualsearch_\w+", rule["expr"])}
    assert asked
    assert asked <= metrics
    for pair in ("()", "{}", "[]"):
        assert rule["expr"].count(pair[0]) == rule["expr"].count(pair[1])
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_each_alarm_has_its_answer() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, re.M) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("command", commands())
def test_commands_are_real(command: str) -> None:
    name, *arguments = shlex.split(command)[2:]
    loaded = load_command_class(get_commands()[name], name)
    loaded.create_parser("manage.py", name).parse_args(arguments)


def test_dump_and_restore(transactional_db: None, fake_encoder: None, queue: Any, tmp_path: Path) -> None:
    """The page's own lines, on this test's database and into a new one."""
    shelf.make_product(*(shelf.picture(shelf.shade(number)) for number in range(3)))
    shelf.index_everything()
    url = environment()["DATABASE_URL"]
    new = "restored_from_the_page"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {new}")
        cursor.execute(f"CREATE DATABASE {new}")
    other = url.replace(f"/{connection.settings_dict['NAME']}?", f"/{new}?")
    assert other != url
    try:
        for start_of_line, address in (("pg_dump", url), ("pg_restore", other), ("psql", other)):
            lines = [line for line in console_lines() if line.startswith(f"{start_of_line} ")]
            assert lines
            for line in lines:
                env = {**os.environ, "DATABASE_URL": address, "PATH": f"{embedded() / 'bin'}:{os.environ['PATH']}"}
                done = subprocess.run(line, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True)
                assert done.returncode == 0, f"{line}: {done.stderr}"
        assert (tmp_path / "small.dump").stat().st_size < (tmp_path / "shop.dump").stat().st_size
        count = subprocess.run(
            [embedded() / "bin" / "psql", other, "-Atc", f"SELECT count(vector) FROM {ImageEmbedding._meta.db_table}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert count.stdout == "3\n"
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {new}")
