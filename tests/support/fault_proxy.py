"""A proxy with TLS in front of a real server. It fails as it is told: on the wire, or with answers."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from secrets_svc.runtime.certificates import own_certificates

#: No word of it may be in a message of ours.
VENDOR = "sesame-of-the-vendor"
_PAGE = f"<html><body>{VENDOR}</body></html>".encode()
_JSON = b'{"errors": ["%b"], "message": "%b"}' % (VENDOR.encode(), VENDOR.encode())

#: Faults that are over before a call is made.
_OF_CONNECTIONS = {"refused connection", "TLS of the wrong CA"}


class FaultProxy:
    """Passes calls on to ``upstream``, but for the fault that is on.

    :param folder: for certificates. :param upstream: host and port.
    :param trust: for a server that speaks TLS itself. :ivar calls: those that arrived.
    """

    def __init__(
        self, folder: Path, upstream: tuple[str, int], *, trust: ssl.SSLContext | None = None
    ) -> None:
        self._upstream = upstream
        self._trust = trust
        self._good = own_certificates(folder / "good", ("127.0.0.1", "localhost"))
        self._foreign = own_certificates(folder / "foreign", ("127.0.0.1", "localhost"))
        self.ca = self._good.ca
        self.fault: str | None = None
        self.calls = 0
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=256)

    def close(self) -> None:
        """Listen no more."""
        self._ended.set()
        self._listener.close()

    @contextlib.contextmanager
    def failing(self, fault: str) -> Iterator[None]:
        """With that fault on, for all calls."""
        self._ended.clear()
        self.fault = fault
        if fault == "refused connection":
            self._shut()
        if fault in _OF_CONNECTIONS:  # which open ones don't notice
            self._hang_up()
        try:
            yield
        finally:
            if fault == "refused connection":
                self._listener = self._listen(self.port)
                self._accepting = threading.Thread(target=self._accept, daemon=True)
                self._accepting.start()
            self.fault = None
            self._ended.set()

    def _shut(self) -> None:
        # A thread that waits in accept keeps the port listening until it is woken.
        listener = self._listener
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self._accepting.join(5)

    def _hang_up(self) -> None:
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        files = self._foreign if self.fault == "TLS of the wrong CA" else self._good
        with (
            contextlib.suppress(OSError, ssl.SSLError),
            plain,
            files.context().wrap_socket(plain, server_side=True) as connection,
            contextlib.ExitStack() as stack,
        ):
            connection.settimeout(30)
            self._open.add(connection)
            stack.callback(self._open.discard, connection)
            while request := _message(connection):
                self.calls += 1
                if not self._answer(connection, request):
                    return

    def _answer(self, connection: ssl.SSLSocket, request: bytes) -> bool:
        """Whether the connection goes on."""
        fault = self.fault
        if fault is None:
            connection.sendall(self._ask(request))
            return True
        if fault in _OF_CONNECTIONS:  # it came on one that was open before
            return False
        if fault == "black hole":
            self._ended.wait()
            return False
        if fault.endswith(" s latency"):
            time.sleep(float(fault.split()[0]))
            connection.sendall(self._ask(request))
            return True
        if fault in {"reset half-way", "truncated body"}:
            whole = self._ask(request)
            head = whole.index(b"\r\n\r\n") + 4
            connection.sendall(whole[: head + (len(whole) - head) // 2])
            if fault == "reset half-way":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return False
        if fault not in ANSWERS:  # one of connecting: this connection was open before
            return False
        connection.sendall(ANSWERS[fault])
        return True

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection(self._upstream, 30) as plain:
            context = self._trust
            upstream = plain if context is None else context.wrap_socket(plain, server_hostname="127.0.0.1")
            with contextlib.closing(upstream):
                upstream.sendall(request)
                return _message(upstream)


def _answer(status: int, body: bytes, *headers: str) -> bytes:
    kind = "text/html" if body == _PAGE else "application/json"
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _json(code: str) -> bytes:
    """As AWS refuses a call in JSON."""
    return json.dumps({"__type": code, "message": VENDOR, "Message": VENDOR}).encode()


def _xml(code: str) -> bytes:
    """As other parts of AWS do."""
    return f"<Error><Code>{code}</Code><Message>{VENDOR}</Message></Error>".encode()


ANSWERS = {
    "HTML instead of JSON": _answer(200, _PAGE),
    "a 404 page of a proxy": _answer(404, _PAGE),
    "429": _answer(429, _JSON),
    "429 with Retry-After": _answer(429, _JSON, "retry-after: 1"),
    "expired credentials": _answer(400, _json("ExpiredTokenException")),
    "expired credentials, told in XML": _answer(403, _xml("403")),
    "clock 10 minutes off": _answer(403, _json("RequestTimeTooSkewed")),
    "500": _answer(500, _JSON),
    "503": _answer(503, _JSON),
}


def _message(connection: socket.socket) -> bytes:
    """A whole request or response; empty at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    if fields.get(b"transfer-encoding", b"").strip() == b"chunked":
        return head + b"\r\n\r\n" + _until(connection, body, lambda got: got.endswith(b"0\r\n\r\n"))
    if fields.get(b"expect", b"").strip() == b"100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:"))
    length = int(fields.get(b"content-length", b"0"))
    return head + b"\r\n\r\n" + _until(connection, body, lambda got: len(got) >= length)


def _until(connection: socket.socket, data: bytes, is_whole: Callable[[bytes], bool]) -> bytes:
    while not is_whole(data):
        part = connection.recv(65536)
        if not part:
            return data
        data += part
    return data
