"""Raw sockets against a real gunicorn of four threads: whoever is slow or breaks off holds a thread for a second only.

The server has no database: every request here is answered or refused before one is asked.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes import ROOT, wait_until
from tests.security.quick import QuickWorker

THREADS = 4
PATIENCE = QuickWorker.SECONDS
SEARCH = "/api/visualsearch/product/search/"
KINDS = {
    "image/jpeg": b"\xff\xd8\xff\xe0" + b"x" * 60,
    "application/json": b'{"image": "' + b"A" * 60,
    "multipart/form-data; boundary=x": b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n123',
    "application/x-www-form-urlencoded": b"query=" + b"x" * 60,
}

# Answers to a body that ends before its end.
NOT_WHOLE = {(400, "parse_error"), (400, "image_required"), (400, "not_an_image")}


class Server:
    """A gunicorn and its port."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def threads_are_free(self) -> bool:
        """As many requests as there are threads, all at once, are answered at once."""
        with ExitStack() as stack:
            clients = [stack.enter_context(self.connection()) for _ in range(THREADS)]
            for client in clients:
                client.settimeout(0.7)
                client.sendall(head("GET"))
            try:
                return all(status(client) == 405 for client in clients)
            except TimeoutError:
                return False


def head(method: str = "POST", *lines: str, kind: str = "image/jpeg") -> bytes:
    given = [f"{method} {SEARCH} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *lines]
    return "\r\n".join([*given, "", ""]).encode()


def answer(client: socket.socket) -> tuple[int, str]:
    """Status and body of what the server says before it hangs up or waits for the next request."""
    text = b""
    while part := client.recv(65536):
        text += part
        start, found, body = text.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: (\d+)", start, re.MULTILINE)
        if found and length and len(body) >= int(length[1]):
            break
    return (int(text.split()[1]), text.partition(b"\r\n\r\n")[2].decode()) if text else (0, "")


def status(client: socket.socket) -> int:
    return answer(client)[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    settings = {"VISUALSEARCH": {"PHOTO_RATE": "1000/min", "SIMILAR_RATE": "1000/min"}}
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "VISUALSEARCH_TEST_SETTINGS": json.dumps(settings)}
    worker = f"{QuickWorker.__module__}.{QuickWorker.__name__}"
    command = f"-m gunicorn shop.wsgi --bind 127.0.0.1:{port} --worker-class {worker} --threads {THREADS}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command.split(), "--no-control-socket"],
            cwd=ROOT,
            env={**os.environ, **environment, "DATABASE_URL": "postgresql://127.0.0.1:1/none"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    started = Server(port, log)
    wait_until(lambda: port_open(port), 60, log)
    wait_until(started.threads_are_free, 60, log)  # the application is loaded
    yield started
    process.send_signal(signal.SIGTERM)
    process.wait(15)


def port_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def freed_after(server: Server, seconds: float) -> bool:
    """Whether all threads are free within so many seconds, give or take a busy machine."""
    end = time.monotonic() + seconds + 4
    while time.monotonic() < end:
        if server.threads_are_free():
            return True
    return False


def test_twice_as_many_slow_clients_as_threads(server: Server) -> None:
    """Half of them stop within their headers, half within their body, of every kind; a byte now and then, or none."""
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connection()) for _ in range(2 * THREADS)]
        bodies = dict(zip(clients[THREADS:], KINDS, strict=True))
        for client in clients[:THREADS]:
            client.sendall(head()[:-2])
        for client, kind in bodies.items():
            client.sendall(head("POST", "Content-Length: 20000", kind=kind) + KINDS[kind])
        started = time.monotonic()
        assert not server.threads_are_free()
        for client in clients[::2]:  # the budget is of waiting, however often a byte arrives
            client.sendall(b"x")
        answers = {client: answer(client) for client in clients}
        # Two turns: four clients wait for the threads of the other four.
        assert time.monotonic() - started < 2 * PATIENCE + 6
    assert [answers[client] for client in clients[:THREADS]] == [(408, "")] * THREADS
    for client in bodies:
        code, text = answers[client]
        assert (code, json.loads(text)["code"]) == (408, "upload_too_slow"), bodies[client]
    assert freed_after(server, 0)
    assert "Traceback" not in server.log.read_text()


def test_a_client_that_trickles(server: Server) -> None:
    """A byte each tenth of a second is never idle, and is stopped all the same."""
    with server.connection() as headers, server.connection() as body:
        headers.sendall(head()[:-2])
        body.sendall(head("POST", "Content-Length: 20000"))
        started = time.monotonic()
        ended: set[socket.socket] = set()
        while len(ended) < 2 and time.monotonic() - started < PATIENCE + 6:
            time.sleep(0.1)
            for client in {headers, body} - ended:
                client.setblocking(False)
                try:
                    client.sendall(b"x")
                    client.recv(1, socket.MSG_PEEK)
                except BlockingIOError:
                    continue
                except OSError:  # it has hung up already
                    pass
                ended.add(client)
        assert len(ended) == 2
        assert time.monotonic() - started > 0.8 * PATIENCE
    assert freed_after(server, 0)


def test_a_client_that_keeps_up_is_not_stopped(server: Server) -> None:
    """Slower in all than the patience, but never behind the rate: the budget grows with what comes."""
    size = int(PATIENCE * 2.2 * QuickWorker.UPLOAD_RATE)
    with server.connection() as client:
        client.sendall(head("POST", f"Content-Length: {size}"))
        started, sent = time.monotonic(), 0
        while sent < size:
            time.sleep(0.05)
            due = int((time.monotonic() - started) * QuickWorker.UPLOAD_RATE) + 65536
            client.sendall(b"\0" * (part := min(size, due) - sent))
            sent += part
        assert time.monotonic() - started > PATIENCE
        code, text = answer(client)
    assert (code, json.loads(text)["code"]) == (400, "not_an_image")


def test_clients_that_break_off(server: Server) -> None:
    for kind, start in KINDS.items():
        for abrupt in (False, True):
            with server.connection() as client:
                if abrupt:  # a reset, as when a phone loses its network
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.sendall(head("POST", "Content-Length: 20000", kind=kind) + start)
    with server.connection() as client:
        client.sendall(b"POST /api/vis")
    assert freed_after(server, PATIENCE)
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_length_that_is_longer_than_the_body(server: Server, kind: str) -> None:
    with server.connection() as client:
        client.sendall(head("POST", "Content-Length: 20000", kind=kind) + b"?" + KINDS[kind])
        client.shutdown(socket.SHUT_WR)
        number, text = answer(client)
    assert (number, json.loads(text)["code"]) in NOT_WHOLE


def test_a_length_that_is_shorter_than_the_body(server: Server) -> None:
    """What lies beyond the length is taken for no request of its own."""
    beyond = b"junk\r\n" + head("GET")
    with server.connection() as client:
        client.sendall(head("POST", "Content-Length: 4", kind="application/json") + b"null" + beyond)
        everything = b"".join(iter(lambda: client.recv(65536), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", everything) == [b"400", b"400"]


@pytest.mark.parametrize("lines", [("Content-Length: 5", "Content-Length: 6"), ("Content-Length: -1",)])
def test_lengths_that_are_none(server: Server, lines: tuple[str, ...]) -> None:
    with server.connection() as client:
        client.sendall(head("POST", *lines) + b"123456")
        assert status(client) == 400


def test_a_body_over_the_limit_is_refused_before_it_is_read(server: Server) -> None:
    for kind in KINDS:
        with server.connection() as client:
            client.sendall(head("POST", f"Content-Length: {10 * 1024**3}", kind=kind))
            number, text = answer(client)  # nothing of the body was sent
        assert (number, json.loads(text)["code"]) == (413, "file_too_large")
    assert freed_after(server, PATIENCE)


def test_chunks_are_refused_before_they_are_read(server: Server) -> None:
    """A client that goes on sending regardless is hung up on."""
    with server.connection() as client:
        client.sendall(head("POST", "Transfer-Encoding: chunked"))
        number, text = answer(client)
        assert (number, json.loads(text)["code"]) == (411, "length_required")
        sent = 0
        with pytest.raises(OSError, match=r"reset|pipe"):
            while sent < 200 * 1024**2:
                client.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
    assert freed_after(server, PATIENCE)


def test_clients_that_do_not_hang_up_hold_nobody_up(server: Server) -> None:
    """gunicorn waits two seconds for a client's end: in a thread of the pool, not in the one that accepts."""
    with ExitStack() as stack:
        for _ in range(THREADS - 1):
            client = stack.enter_context(server.connection())
            client.sendall(head("GET", "Connection: close"))
            assert status(client) == 405
        with server.connection() as other:
            other.settimeout(1)
            other.sendall(head("GET"))
            assert status(other) == 405
    assert freed_after(server, 2)


def test_the_demo_and_the_containers_use_it() -> None:
    from shop import demo

    named = "--worker-class visualsearch.contrib.serving.Worker"
    assert named in demo.processes(8000)["web"]  # tests/test_docker.py: the containers have the same command
