"""A real TCP server that answers what a test scripts, byte for byte."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from secrets_svc.client.http import ControlPlaneClient
from secrets_svc.core.value import SecretValue

TOKEN = "tok-4711-canary"


@dataclass
class Connection:
    """One accepted connection, for a scripted step."""

    socket: socket.socket
    request: bytes = b""

    def read_request(self) -> None:
        """Take head and body."""
        while b"\r\n\r\n" not in self.request:
            block = self.socket.recv(65536)
            if not block:
                return
            self.request += block
        head, _, body = self.request.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            block = self.socket.recv(65536)
            if not block:
                return
            body += block
            self.request += block

    def reset(self) -> None:
        """End the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Step = Callable[[Connection], None]


@dataclass
class ScriptedServer:
    """Does one step per connection; the last one for all that follow."""

    listener: socket.socket
    steps: list[Step] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def requests(self) -> list[bytes]:
        return [connection.request for connection in self.connections]

    def client(self, timeout: float = 5.0) -> ControlPlaneClient:
        return ControlPlaneClient(self.url, SecretValue(TOKEN.encode()), timeout=timeout)

    def serve(self) -> None:
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            step = self.steps[min(len(self.connections), len(self.steps) - 1)]
            self.connections.append(Connection(accepted))
            accepted.settimeout(10)
            with accepted, contextlib.suppress(OSError):
                step(self.connections[-1])


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    scripted = ScriptedServer(listener)
    thread = threading.Thread(target=scripted.serve, daemon=True)
    thread.start()
    yield scripted
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(15)
    assert not thread.is_alive()


def answer(
    status: int = 200,
    body: object = None,
    *,
    content_type: str | None = None,
    headers: tuple[str, ...] = (),
) -> Step:
    """A step that reads the request and answers in good form."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = content_type or ("application/json" if status < 400 else "application/problem+json")
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(data)}", *headers]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + data)


def raw(data: bytes) -> Step:
    """A step that reads the request and sends ``data``."""

    def step(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(data)

    return step


def drip(data: bytes, pause: float) -> Step:
    """A step that sends a byte at a time."""

    def step(connection: Connection) -> None:
        connection.read_request()
        for at in range(len(data)):
            connection.socket.sendall(data[at : at + 1])
            time.sleep(pause)

    return step


def endless(prefix: bytes, block: bytes) -> Step:
    """A step that never stops sending."""

    def step(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(prefix)
        while True:
            connection.socket.sendall(block)

    return step


def reset_after_request(connection: Connection) -> None:
    """A step that takes the request and resets the connection."""
    connection.read_request()
    connection.reset()


METADATA = {
    "name": "db-password",
    "organization": "flyte",
    "domain": "production",
    "project": "shop",
    "type": "generic",
    "version": "v1",
    "size": 7,
    "created_at": "2026-01-02T03:04:05.678901Z",
    "updated_at": "2026-01-02T03:04:05Z",
    "created_by": "admin",
    "updated_by": "admin",
}


def problem(code: str, status: int, detail: str = "no", **more: object) -> dict[str, object]:
    """A problem document."""
    document = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    return {**document, "retryable": False, "request_id": "r-1", **more}


@pytest.fixture
def script() -> type[Script]:
    return Script


class Script:
    """The steps, for tests (conftest modules can't be imported under importlib mode)."""

    answer = staticmethod(answer)
    raw = staticmethod(raw)
    drip = staticmethod(drip)
    endless = staticmethod(endless)
    reset = staticmethod(reset_after_request)
    problem = staticmethod(problem)
    metadata = METADATA
    token = TOKEN
