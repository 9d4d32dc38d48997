"""A proxy in front of the API server that fails as it is told."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from kit import Cluster


class Unreliable:
    """Passes everything on, but for what :meth:`failing` says.

    :ivar asked: the failing calls so far: method and path.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._server = urlsplit(cluster.server)
        self._trust = ssl.create_default_context(cafile=str(cluster.ca_file))
        pair = cluster.issue("proxy", hosts=["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._http = _Server(("127.0.0.1", 0), _handler(self))
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._fault: tuple[str, int, dict[str, Any], dict[str, str], float] | None = None
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Instead of the API server's."""
        return f"https://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    @contextlib.contextmanager
    def failing(
        self,
        what: str,
        status: int = 0,
        body: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        delay: float = 0.0,
    ) -> Iterator[None]:
        """Calls whose method and path hold ``what`` get ``status`` after ``delay`` seconds; 0: no answer."""
        self._fault = (what, status, body or {}, headers or {}, delay)
        try:
            yield
        finally:
            self._fault = None

    def kubeconfig(self, original: Path) -> Path:
        """``original``, leading here."""
        config = json.loads(original.read_text())
        config["clusters"][0]["cluster"]["server"] = self.url
        path = original.with_name(original.name + "-unreliable")
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def fault_for(self, call: str) -> tuple[int, dict[str, Any], dict[str, str], float] | None:
        """What happens to ``call``."""
        fault = self._fault
        if fault is None or not all(word in call for word in fault[0].split()):
            return None
        self.asked.append(call)
        return fault[1:]

    def onward(self) -> http.client.HTTPSConnection:
        """A connection to the API server."""
        return http.client.HTTPSConnection(
            self._server.hostname or "", self._server.port, context=self._trust, timeout=60
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up: that is what is tested."""


def _handler(proxy: Unreliable) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def _pass(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            fault = proxy.fault_for(f"{self.command} {self.path}")
            self.close_connection = True
            if fault is None:
                self._onward(body)
            else:
                self._fail(*fault)

        def _fail(self, status: int, body: dict[str, Any], headers: dict[str, str], delay: float) -> None:
            time.sleep(delay)
            if status:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "content-type": "application/json"}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def _onward(self, body: bytes) -> None:
            with contextlib.closing(proxy.onward()) as connection, contextlib.suppress(OSError):
                connection.request(self.command, self.path, body, self._headers())
                answer = connection.getresponse()
                self.send_response(answer.status)
                self.send_header("content-type", answer.getheader("content-type") or "")
                self.send_header("connection", "close")
                self.end_headers()
                while part := answer.read1(65536):
                    self.wfile.write(part)
                    self.wfile.flush()

        def _headers(self) -> dict[str, str]:
            return {name: value for name, value in self.headers.items() if name.lower() != "connection"}

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

    return Handler
