"""What a benchmark plays on: a PostgreSQL, a folder of files and settings of its own, thrown away at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from shop.database import BASE_DIR, start

SHARED = BASE_DIR.parent / "shared"
GALLERY = BASE_DIR / "var" / "gallery"
WEIGHTS = {
    "mobilenet_v2": SHARED / "weights" / "mobilenet_v2_1.0_224_imagenet_notop.weights.h5",
    "mobilenet_v2_compact": SHARED / "weights" / "mobilenet_v2_0.35_224_imagenet_notop.weights.h5",
}


class CannotMeasure(Exception):
    """Something that the benchmark needs is not there; the message says what, in one sentence."""


@contextmanager
def stage(encoder: str, *, database: bool = True, bundled: bool = False) -> Iterator[Path]:
    """Django set up on a new database with the project's tables, or with none; gives the temporary folder.

    The server is configured as the demo's is, with fsync on: commits cost here what they cost a shop. Raises
    CannotMeasure where there are no weights for ``encoder``; with ``bundled`` it has those of the package.
    """
    weights = None if bundled else WEIGHTS.get(encoder)
    if weights and not weights.is_file():
        raise CannotMeasure(f"There are no weights for {encoder}: {weights} is absent.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    folder = Path(tempfile.mkdtemp(prefix="visualsearch-bench-"))
    try:
        with _database(folder) if database else nullcontext("postgresql:///none") as url:
            settings = {"ENCODER": encoder, "WEIGHTS": str(weights) if weights else None}
            os.environ.update(
                DATABASE_URL=url,
                DJANGO_SETTINGS_MODULE="benchmarks.settings",
                BENCHMARK_MEDIA=str(folder / "media"),
                BENCHMARK_VISUALSEARCH=json.dumps(settings),
            )
            _set_up(encoder, database)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    server = start(folder / "postgres", cleanup="delete")
    try:
        yield server.get_uri(database="postgres")
    finally:
        server.cleanup()


def _set_up(encoder: str, database: bool) -> None:
    import django
    from django.core.management import call_command

    django.setup()
    from visualsearch.encoders import get_encoder
    from visualsearch.exceptions import EncoderNotBuilt

    if database:
        say("tables")
        call_command("migrate", verbosity=0, interactive=False)
    try:
        _ = get_encoder().fingerprint
    except EncoderNotBuilt:
        say("model")
        build(encoder)


def build(encoder: str, *options: str) -> None:
    """``visualsearch_encoder build`` on this stage, in a process of its own, as it may import TensorFlow."""
    command = [sys.executable, "manage.py", "visualsearch_encoder", "build", encoder, *options]
    if subprocess.run(command, cwd=BASE_DIR, stdout=sys.stderr, check=False).returncode:
        raise CannotMeasure(f"The model of {encoder} could not be built.")


@contextmanager
def worker(log: Path) -> Iterator[None]:
    """A queue cluster on this stage, with all its processes ended at the end."""
    with log.open("wb") as output, started("manage.py", "qcluster", stdout=output, stderr=subprocess.STDOUT):
        yield


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process in a group of its own; it and all that it started are ended at the end."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=BASE_DIR, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def pictures(folder: str) -> list[Path]:
    """The JPEG files under a folder of ../shared/data, in order. Raises CannotMeasure where there are none."""
    found = sorted((SHARED / "data" / folder).rglob("*.jpg"))
    if not found:
        raise CannotMeasure(f"There are no pictures in {SHARED / 'data' / folder}.")
    return found


def say(step: str) -> None:
    print(f"benchmark: {step}", file=sys.stderr, flush=True)


def percentile(seconds: list[float], percent: float) -> float:
    """In seconds, between the two nearest durations."""
    return float(np.percentile(seconds, percent))


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
