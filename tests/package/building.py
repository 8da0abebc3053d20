"""The wheel, and virtual environments that have it from nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# What would lead a fresh project back to this checkout, its settings or its database.
OURS = ("PYTHONPATH", "DJANGO_SETTINGS_MODULE", "DATABASE_URL", "WEIGHTS")


def run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a command prints; fails the test, with its error output, where it exits with another status than 0."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd or ROOT, env=environment(env), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command[1:]}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in OURS and not name.startswith("VISUALSEARCH")
    }
    return {**kept, **(changes or {})}


def build_wheel(folder: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


class VirtualEnvironment:
    """A fresh one. The tests' own pip fills it, which saves the seconds that another pip takes to be installed."""

    def __init__(self, folder: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        self.python = folder / "bin" / "python"
        (self.site_packages,) = folder.glob("lib/python*/site-packages")

    def install(self, *requirements: str) -> None:
        """As a person would, from the package index; versions are those that the rest of the tests use."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install"]
        run(*pip, "--quiet", "--no-compile", "-c", "requirements.txt", *requirements)

    def extend(self, other: VirtualEnvironment) -> None:
        """Has everything that ``other`` has, too; pip sees it as installed."""
        (self.site_packages / "extended.pth").write_text(f"{other.site_packages}\n")

    def packages(self) -> set[str]:
        """Names of what pip has installed here, in lower case."""
        return {str(found.name).lower() for found in distributions(path=[str(self.site_packages)])}

    def run(self, *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
        """What its Python prints. -P keeps the script's own folder off the import path."""
        return run(self.python, "-P", *arguments, cwd=cwd, env=env)

    @contextmanager
    def running(self, *arguments: str, cwd: Path, env: Mapping[str, str], log: Path) -> Iterator[None]:
        """A process of it, ended with the block."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(self.python), *arguments],
                cwd=cwd,
                env=environment(env),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait(20)
