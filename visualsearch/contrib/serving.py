"""A gunicorn worker that no slow client can hold: ``gunicorn --worker-class visualsearch.contrib.serving.Worker``.

gunicorn's own threads wait for a client as long as it likes: four that send a byte a minute keep four threads from
everybody else. Here each request has a budget of time that its client may keep a thread waiting, one for headers and
body and one for the answer, which grows with the bytes that really pass (the rule of Apache's mod_reqtimeout). Only
waiting counts, not the time that the application takes. Where a proxy takes requests in whole before it passes them
on, as nginx does by default, gunicorn's own ``gthread`` does as well.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from gunicorn.workers import gthread

TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class ClientTooSlow(TimeoutError):
    """The client has used up the time that it may keep a thread waiting."""


class _Budget:
    """Time that a client may keep a thread waiting in one direction: ``seconds``, and one more for ``rate`` bytes."""

    def __init__(self, seconds: float, rate: float) -> None:
        self.left = seconds
        self.rate = rate

    @contextmanager
    def waiting(self, connection: socket.socket) -> Iterator[None]:
        """Around one call, which gets what is left, but no more than the server has set. Raises TimeoutError."""
        given = connection.gettimeout()
        if self.left <= 0:
            raise TimeoutError
        connection.settimeout(self.left if given is None else min(self.left, given))
        started = time.monotonic()
        try:
            yield
        finally:
            self.left -= time.monotonic() - started
            connection.settimeout(given)

    def earn(self, count: int) -> None:
        self.left += count / self.rate


class TimedSocket(socket.socket):
    """A connection whose every wait is taken from a budget, anew for each request."""

    def begin(self, receiving: _Budget, sending: _Budget) -> None:
        """A request begins."""
        self.receiving, self.sending = receiving, sending
        self.in_headers = True

    @classmethod
    def taken_over(cls, given: socket.socket) -> Self:
        """The same connection; ``given`` is closed to further use."""
        return cls(given.family, given.type, given.proto, given.detach())

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Raises ClientTooSlow, but within headers: there it is as if the client had gone, after a 408."""
        try:
            with self.receiving.waiting(self):
                part = super().recv(size, flags)
        except TimeoutError:
            if not self.in_headers:
                raise ClientTooSlow("The client sends too slowly.") from None
            with suppress(OSError):
                super().send(TOO_LATE, socket.MSG_DONTWAIT)
            return b""
        self.receiving.earn(len(part))
        return part

    def sendall(self, part: Any, flags: int = 0, /) -> None:
        """Raises ClientTooSlow."""
        self.sending.earn(len(part))
        try:
            with self.sending.waiting(self):
                super().sendall(part, flags)
        except TimeoutError:
            raise ClientTooSlow("The client takes the answer too slowly.") from None


class Worker(gthread.ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads. A subclass may have other figures.

    The longest that a thread waits: ``SECONDS`` for a client that sends nothing more, and for one that keeps up
    ``UPLOAD_RATE`` to the end as long as its body takes, which the API limits to ``MAX_BYTES``.
    """

    SECONDS = 15.0
    UPLOAD_RATE = 64 * 1024.0  # bytes a second: half a megabit
    DOWNLOAD_RATE = 8 * 1024.0

    def init_process(self) -> None:
        self.cfg.set("sendfile", False)  # which would pass the budget by
        super().init_process()

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        super().check_config(cfg, log)
        if cfg.is_ssl:
            log.warning("Slow clients are not stopped where gunicorn itself speaks TLS; let a proxy do so.")

    def handle(self, conn: Any) -> Any:
        """One request, in a thread of the pool."""
        if type(conn.sock) is socket.socket:
            conn.sock = TimedSocket.taken_over(conn.sock)
        if isinstance(conn.sock, TimedSocket):
            conn.sock.begin(_Budget(self.SECONDS, self.UPLOAD_RATE), _Budget(self.SECONDS, self.DOWNLOAD_RATE))
        kept = super().handle(conn)
        if not kept:
            # Here, not in the one thread that accepts connections and would wait two seconds for this client's end.
            with suppress(OSError):
                conn.close(graceful=True)
            conn.close = _closed_already
        return kept

    def handle_request(self, req: Any, conn: Any) -> Any:
        if isinstance(conn.sock, TimedSocket):
            conn.sock.in_headers = False
        return super().handle_request(req, conn)


def _closed_already(graceful: bool = False) -> None:
    """What is left of ``close`` for the thread that accepts connections."""
