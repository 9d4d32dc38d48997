"""A small HTTP server in front of moto's: it passes calls on, and fails where a test's script says so."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What is answered instead of what moto says.

    :ivar delay: seconds before it. :ivar cut: bytes that are promised and don't come.
    :ivar hang_up: no answer at all. :ivar after: moto does the call first.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int = 0
    hang_up: bool = False
    after: bool = False


def error(code: str, status: int = 400, message: str = "open sesame", **headers: str) -> Answer:
    """As Secrets Manager says it, with a text that must not come out."""
    body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, body, {"Content-Type": "application/x-amz-json-1.1", **named})


HANG_UP = Answer(hang_up=True)
HANG_UP_AFTERWARDS = Answer(hang_up=True, after=True)

#: What to do about a call: its number from 0, operation and parameters; ``None`` passes it on.
Script = Callable[[int, str, dict[str, Any]], Answer | None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the library's 5 loses connections of many callers at once


class Front:
    """The running server.

    :ivar calls: what was called since the script was set.
    """

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self._script: Script = lambda number, operation, params: None
        self._lock = threading.Lock()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                front._serve(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def operations(self) -> list[str]:
        """Names of the calls."""
        return [operation for operation, _ in self.calls]

    @contextmanager
    def scripted(self, script: Script) -> Iterator[Front]:
        """Within, this script decides; the record begins anew."""
        self.calls = []
        self._script = script
        try:
            yield self
        finally:
            self._script = lambda number, operation, params: None

    def failing(self, operation: str, *answers: Answer) -> Any:
        """Within, calls of ``operation`` (``*``: of any) get these in turn, and the last one from then on."""
        left = list(answers)

        def script(number: int, called: str, params: dict[str, Any]) -> Answer | None:
            if operation not in ("*", called):
                return None
            return left.pop(0) if len(left) > 1 else left[0]

        return self.scripted(script)

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        operation = (request.headers.get("X-Amz-Target") or "").rpartition(".")[2]
        params = json.loads(body) if operation else {}
        with self._lock:
            number = len(self.calls)
            self.calls.append((operation, params))
        answer = self._script(number, operation, params)
        if answer is None or answer.after:
            passed = self._pass_on(request, body)
            answer = answer or passed
        time.sleep(answer.delay)
        request.close_connection = True
        if not answer.hang_up:
            _answer(request, answer)

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        headers = dict(request.headers.items())
        passed = urllib.request.Request(f"{self._behind}{request.path}", body, headers)
        try:
            with urllib.request.urlopen(passed, timeout=30) as got:
                return Answer(got.status, got.read(), {"Content-Type": got.headers["Content-Type"]})
        except urllib.error.HTTPError as got:
            with got:
                return Answer(got.code, got.read(), {"Content-Type": got.headers["Content-Type"]})

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def _answer(request: BaseHTTPRequestHandler, answer: Answer) -> None:
    try:
        request.send_response(answer.status)
        for name, text in answer.headers.items():
            request.send_header(name, text)
        request.send_header("Content-Length", str(len(answer.body) + answer.cut))
        request.end_headers()
        request.wfile.write(answer.body)
        request.wfile.flush()
    except OSError:
        pass  # whoever asked has hung up
