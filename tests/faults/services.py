"""A shop's processes, to be killed and started again: gunicorn and django-q2 clusters, and customers who search."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import ROOT, environment, wait_until

UNTHROTTLED = {"PHOTO_RATE": "100000/min", "SIMILAR_RATE": "100000/min"}
# A task that nobody acknowledged is handed out again after 12 seconds.
QUICK = {"timeout": 10, "retry": 12, "workers": 2, "poll": 0.1}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A process and its children, in a group of their own."""

    def __init__(self, *command: str, log: Path, **changes: dict[str, Any]) -> None:
        self._command, self._log = [sys.executable, *command], log
        self._environment = environment(**changes)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL for all of the group at once: nobody gets to clean up."""
        if self._process is not None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(30)

    def stop(self) -> None:
        """As an administrator does; killed if it takes too long."""
        if not self.is_alive:
            return
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class Cluster(Service):
    def __init__(self, log: Path, **changes: dict[str, Any]) -> None:
        super().__init__("manage.py", "qcluster", log=log, **{"Q_CLUSTER": QUICK, **changes})


@dataclass(frozen=True)
class Answer:
    """To one request, and when it was sent and answered. Status 0: there was no answer, ``code`` says why."""

    status: int
    code: str
    sent: float
    answered: float
    content: Any = None


class Web(Service):
    def __init__(self, log: Path, *, threads: int = 4) -> None:
        self.port = free_port()
        options = ["--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread", "--threads", str(threads)]
        super().__init__(
            "-m", "gunicorn", "shop.wsgi", *options, "--no-control-socket", log=log, VISUALSEARCH=UNTHROTTLED
        )

    def ask(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, timeout: float = 60
    ) -> Answer:
        """GET, or POST with a body."""
        sent = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(
                "POST" if body is not None else "GET", path, body, {"Host": "localhost", **(headers or {})}
            )
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, type(error).__name__, sent, time.monotonic())
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        content = json.loads(text) if is_json else text
        return Answer(response.status, content.get("code", "") if is_json else "", sent, time.monotonic(), content)

    def similar(self, product: Any) -> Answer:
        return self.ask(f"/api/visualsearch/product/{product}/similar/?limit=5")

    def by_photo(self, photo: bytes) -> Answer:
        return self.ask("/api/visualsearch/product/search/?limit=5", photo, {"Content-Type": "image/png"})

    def wait(self, seconds: float = 120) -> None:
        """Until it answers."""
        wait_until(lambda: self.ask("/health/live/").status, seconds, self._log)


@contextmanager
def ended(*services: Service) -> Iterator[None]:
    """They end with the block, whatever state they are in."""
    try:
        yield
    finally:
        for service in services:
            service.stop()


class Customer(threading.Thread):
    """Searches by product and by photo in turns until it is told to stop, and keeps every answer by the web asked."""

    def __init__(self, webs: list[Web], products: list[Any], photo: bytes, *, pause: float = 0.1) -> None:
        super().__init__(daemon=True)
        self.answers: list[tuple[Web, Answer]] = []
        self._webs, self._products, self._photo, self._pause = webs, products, photo, pause
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._pause):
            web = random.choice(self._webs)
            product = random.choice(self._products)
            answer = web.by_photo(self._photo) if random.random() < 0.3 else web.similar(product)
            self.answers.append((web, answer))

    def statuses(self) -> dict[tuple[int, str], int]:
        kinds = [(answer.status, answer.code) for _, answer in self.answers]
        return {kind: kinds.count(kind) for kind in set(kinds)}

    def __enter__(self) -> Customer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(90)
