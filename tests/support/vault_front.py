"""A small HTTP server in front of a real one: passes calls on, and fails where a test's script says so."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """What is answered instead of what the server says.

    :ivar delay: seconds before it. :ivar cut: bytes that are promised and don't come.
    :ivar hang_up: no answer at all. :ivar after: the server does the call first.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int = 0
    hang_up: bool = False
    after: bool = False


def saying(status: int, body: Any, **headers: str) -> Reply:
    """In JSON."""
    return Reply(status, json.dumps(body).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


HANG_UP = Reply(hang_up=True)
HANG_UP_AFTERWARDS = Reply(hang_up=True, after=True)

#: What to do about a call: its number from 0, and "METHOD path"; ``None`` passes it on.
Script = Callable[[int, str], Reply | None]
#: Beginnings of paths of what a session asks about itself; scripts and records go without.
_OF_SESSIONS = ("/v1/sys/internal/", "/v1/auth/")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class VaultFront:
    """The running server.

    :ivar calls: since the script was set, as "METHOD path". :ivar answers: what was said to them.
    """

    def __init__(self, behind: str) -> None:
        self._behind = urlsplit(behind).netloc
        self._script: Script = lambda number, call: None
        self._lock = threading.Lock()
        self.calls: list[str] = []
        self.answers: list[bytes] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                front._serve(self)

            do_POST = do_PUT = do_DELETE = do_LIST = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def scripted(self, script: Script) -> Iterator[VaultFront]:
        """Within, this script decides; the records begin anew."""
        self.calls, self.answers = [], []
        self._script = script
        try:
            yield self
        finally:
            self._script = lambda number, call: None

    def failing(self, reply: Reply, *, at: int | None = None) -> Any:
        """Within, each call gets ``reply``; or only the one of that number."""
        return self.scripted(lambda number, call: reply if at in (None, number) else None)

    def wait_for(self, count: int) -> None:
        """Until so many calls were answered, or no more seem to come."""
        until = time.monotonic() + 2
        while len(self.answers) < count and time.monotonic() < until:
            time.sleep(0.005)

    def recording(self) -> Any:
        """Within, all is passed on."""
        return self.scripted(lambda number, call: None)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if request.path.startswith(_OF_SESSIONS):
            _send(request, self._pass_on(request, body))
            return
        call = f"{request.command} {request.path}"
        with self._lock:
            number = len(self.calls)
            self.calls.append(call)
        reply = self._script(number, call)
        if reply is None or reply.after:
            passed = self._pass_on(request, body)
            reply = reply or passed
        time.sleep(reply.delay)
        with self._lock:
            self.answers.append(reply.body)
        _send(request, reply)

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes) -> Reply:
        kept = {name: text for name, text in request.headers.items() if name.lower() != "connection"}
        connection = http.client.HTTPConnection(self._behind, timeout=30)
        try:
            connection.request(request.command, request.path, body, {**kept, "Connection": "close"})
            got = connection.getresponse()
            return Reply(got.status, got.read())
        finally:
            connection.close()


def _send(request: BaseHTTPRequestHandler, reply: Reply) -> None:
    request.close_connection = True
    if reply.hang_up:
        return
    try:
        request.send_response(reply.status)
        for name, text in {"Content-Type": "application/json", **reply.headers}.items():
            request.send_header(name, text)
        request.send_header("Connection", "close")
        if reply.status != 204:
            request.send_header("Content-Length", str(len(reply.body) + reply.cut))
        request.end_headers()
        request.wfile.write(reply.body)
        request.wfile.flush()
    except OSError:
        pass  # whoever asked has hung up
