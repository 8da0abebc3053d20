"""The demo as a person runs it: from an empty folder to a shop that answers, Ctrl-C, and again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.db import connection

from tests.processes import ROOT, wait_until

pytestmark = [pytest.mark.slow]

COMPACT = "visualsearch/encoders/weights/mobilenet_v2_compact.tflite"


@pytest.fixture
def clone() -> Iterator[Path]:
    """The project's own files in an empty folder. Not in pytest's, which only root may enter: PostgreSQL cannot."""
    folder = Path(tempfile.mkdtemp(prefix="visualsearch-demo-"))
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def without_tests_settings() -> dict[str, str]:
    ours = ("DATABASE_URL", "TEST_DATABASE_URL", "DJANGO_SETTINGS_MODULE", "SECRET_KEY")
    return {name: value for name, value in os.environ.items() if name not in ours}


def demo(clone: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (clone / "out.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "shop.demo", *arguments],
            cwd=clone,
            env=without_tests_settings(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def answer(address: str) -> str:
    with urllib.request.urlopen(address, timeout=5) as response:
        return str(response.read().decode())


def is_up(address: str) -> bool:
    try:
        return bool(answer(address))
    except OSError:
        return False


def processes_of(clone: Path) -> list[psutil.Process]:
    """Every process that runs in the clone or serves its database."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if str(clone) in " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""]):
            found.append(process)
    return found


def test_demo_from_an_empty_folder_stopped_and_started_again(clone: Path, port: int) -> None:
    address = f"http://localhost:{port}"
    arguments = ["--port", str(port), "--products", "48"]  # a sixth, of every kind: drawing is not the subject here
    log = clone / "out.log"
    taken = []
    for _ in range(2):
        start = time.monotonic()
        process = demo(clone, *arguments)
        try:
            wait_until(lambda: is_up(address), 400, log)
            taken.append(time.monotonic() - start)
            assert "product" in answer(address)
            assert "<svg" in answer(f"{address}/favicon.ico")
            wait_until(lambda: "Its admin:" in log.read_text(), 10, log)
            found = answer(f"{address}/api/visualsearch/product/1/similar/?limit=5")
            assert '"count":5' in found, found
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        assert process.returncode == 0
        wait_until(lambda: not processes_of(clone), 10, log)
    assert taken[1] < taken[0], "the second run reuses the first one's catalogue, model and vectors"
    text = log.read_text()
    assert text.count("48 products made") == text.count("products made") == 1
    assert "Traceback" not in text


def complaint(clone: Path, *command: str, **environment: str) -> str:
    """What a command that refuses says, with exit status 1 and no traceback."""
    finished = subprocess.run(
        [sys.executable, *command],
        cwd=clone,
        env={**without_tests_settings(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    return finished.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--weights", "no-such.h5"], {}, "WEIGHTS=no-such.h5 is not a file."),
        (["--weights", COMPACT], {}, "does not fit mobilenet_v2: it is a MobileNetV2 of width 0.35, expected 1.0."),
        (["--images", "no-such-folder"], {}, "IMAGES=no-such-folder is not a folder."),
        (["--port", "99999"], {}, "Port 99999 cannot be used"),
        ([], {"DATABASE_URL": "postgresql://127.0.0.1:1/shop"}, "DATABASE_URL cannot be used: "),
    ],
)
def test_wrong_arguments_are_one_sentence(
    clone: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    assert message in complaint(clone, "-m", "shop.demo", *arguments, **environment)


@pytest.fixture
def bare_server(transactional_db: None) -> str:
    """The address of a server that offers no extension, as one where pgvector is not installed."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        if int(cursor.fetchone()[0]) < 180000:
            pytest.skip("only PostgreSQL 18 and newer can be told to look for extensions elsewhere")
        cursor.execute("SHOW extension_control_path")
    return f"{os.environ['TEST_DATABASE_URL']}&options=-c%20extension_control_path%3D/nowhere"


def test_server_without_pgvector_is_told_what_to_install(clone: Path, bare_server: str) -> None:
    found = complaint(clone, "-m", "shop.demo", "--prepare-only", DATABASE_URL=bare_server)
    assert re.search(r"The PostgreSQL \d+ server has no pgvector; install it there, e.g. apt-get", found)


def test_migrate_on_a_server_without_pgvector_is_one_sentence(clone: Path, bare_server: str) -> None:
    found = complaint(clone, "manage.py", "migrate", "visualsearch", "--skip-checks", DATABASE_URL=bare_server)
    assert "CommandError: The PostgreSQL server has no pgvector: install it" in found


def test_port_in_use_is_named(clone: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = demo(clone, "--port", str(port))
        assert process.wait(60) == 1
    assert f"Port {port} cannot be used" in (clone / "out.log").read_text()
