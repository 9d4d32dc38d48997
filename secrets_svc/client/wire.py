"""One HTTP/1.1 exchange on a connection of its own, within a deadline and within bounds.

The standard library's client costs the command line 16 ms at every start (it imports ``ssl`` and ``email``),
and bounds each single read instead of the whole answer: a server that drips bytes would hold its caller for
ever. Only what a JSON interface needs is spoken: no redirects, proxies, cookies or compression.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from secrets_svc.core.errors import DeadlineExceeded, InvalidArgument, Unavailable
from secrets_svc.core.scope import shown

#: Bytes of an answer's body, the status line and headers not counted.
MAX_BODY = 8 * 1024 * 1024
_MAX_LINE = 16 * 1024
_MAX_HEADERS = 100
_TLS_ALERT = b"\x15\x03"  # type and major version of a TLS record (RFC 8446 section 5.1)
# Patterns are compiled when they are first used, by `re` itself: a start needs few of them.
_STATUS = rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?"
_FIELD = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*"
_HOST = r"[0-9A-Za-z](?:[-._0-9A-Za-z]{0,251}[0-9A-Za-z.])?|[0-9A-Fa-f:.]{2,45}"
_PATH = r"(?:/[-._~0-9A-Za-z]+)*/?"


class Broken(Exception):
    """The connection ended before the answer did; whether the request was acted on is not known.

    :param unheard: nothing was answered, or a TLS alert: a server that expects TLS does so.
    """

    def __init__(self, *, unheard: bool = False) -> None:
        super().__init__()
        self.unheard = unheard


class Garbage(Exception):
    """What came back isn't an HTTP answer within our bounds."""


class Address(NamedTuple):
    """Where a server listens. ``path`` goes in front of every request's path and doesn't end in a slash."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @property
    def loopback(self) -> bool:
        """Whether it is this machine, by its name alone."""
        return (
            self.host in {"localhost", "::1"} or re.fullmatch(r"127(\.[0-9]{1,3}){3}", self.host) is not None
        )


class Answer(NamedTuple):
    """A complete answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_address(endpoint: str) -> Address:
    """The address in an ``http`` or ``https`` URL.

    :raises InvalidArgument: not such a URL, or one with user, query or fragment.
    """
    problem = InvalidArgument(
        f"endpoint {shown(_without_user(endpoint))} is not valid: http://HOST:PORT or https://HOST[:PORT], "
        "without user, query and fragment"
    )
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        raise problem from None
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or "?" in endpoint or "#" in endpoint:
        raise problem
    if not re.fullmatch(_HOST, host) or not re.fullmatch(_PATH, parts.path) or port == 0:
        raise problem
    return Address(
        parts.scheme, host, port or (443 if parts.scheme == "https" else 80), parts.path.rstrip("/")
    )


def _without_user(endpoint: str) -> str:
    """``endpoint`` without what could be a password."""
    return re.sub(r"//.*@", "//***@", endpoint, flags=re.DOTALL)


class Deadline:
    """A point in time that all steps of a call share.

    :param seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, 0 or less when it has passed."""
        return self._end - time.monotonic()

    def apply(self, sock: socket.socket) -> None:
        """Let the next call on ``sock`` take no longer than what is left."""
        left = self.remaining()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)


def exchange(address: Address, request: bytes, *, deadline: Deadline, tls: Any = None) -> Answer:
    """Send ``request`` (head and body, complete) and take the answer.

    :param tls: the ``ssl.SSLContext`` to use; without one the connection is plain.
    :raises Unavailable: there is no connection to be had. :raises DeadlineExceeded: not in time.
    :raises Broken: the connection ended early. :raises Garbage: the answer isn't HTTP, or too long.
    """
    with _translated(address, deadline):
        sock = _connect(address, deadline)
    with sock, _translated(address, deadline, connected=True):
        if tls is not None:
            deadline.apply(sock)
            sock = tls.wrap_socket(sock, server_hostname=address.host)
        with sock:
            _send(sock, request, deadline)
            return _receive(_Reader(sock, deadline))


def _send(sock: socket.socket, request: bytes, deadline: Deadline) -> None:
    deadline.apply(sock)
    try:
        sock.sendall(request)
    except (BrokenPipeError, ConnectionResetError):
        return  # a server may refuse before it has read everything: its answer is then waiting to be read


def _connect(address: Address, deadline: Deadline) -> socket.socket:
    failure: OSError | None = None
    for family, kind, protocol, _, where in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            deadline.apply(sock)
            sock.connect(where)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError("no address")


@contextmanager
def _translated(address: Address, deadline: Deadline, *, connected: bool = False) -> Iterator[None]:
    """The operating system's errors as ours."""
    try:
        yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"{address} did not answer within {deadline.seconds:g} s") from error
    except ConnectionRefusedError as error:
        hint = '; start it with "secret serve all"' if address.loopback else "; is the address right?"
        raise Unavailable(f"nothing listens at {address}{hint}") from error
    except socket.gaierror as error:
        raise Unavailable(f"the host of {address} has no known address") from error
    except OSError as error:
        if type(error).__module__ == "ssl" and type(error).__name__ != "SSLEOFError":
            raise _tls_failure(address, error) from error
        if connected:
            raise Broken from error
        raise Unavailable(f"{address} can't be reached") from error


def _tls_failure(address: Address, error: OSError) -> Unavailable:
    if type(error).__name__ == "SSLCertVerificationError":
        from secrets_svc.client.trust import untrusted

        remedy = "name the authority that signed it as ca_file in the context, or as SECRET_CA_FILE"
        return untrusted(str(address), error, remedy=remedy)
    return Unavailable(f"{address} did not complete a TLS handshake; does it speak https?")


class _Reader:
    """Reads from a socket, within the deadline, never more than asked for plus one block."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._buffer = bytearray()

    def _more(self) -> bool:
        self._deadline.apply(self._sock)
        block = self._sock.recv(65536)
        self._buffer += block
        return bool(block)

    def line(self) -> bytes:
        """The next line without its end."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_LINE:
                raise Garbage
            if not self._more():
                raise Broken(unheard=not self._buffer or self._buffer.startswith(_TLS_ALERT))
        if end > _MAX_LINE:
            raise Garbage
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        while len(self._buffer) < size:
            if not self._more():
                raise Broken
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def to_end(self, limit: int) -> bytes:
        """All until the other side closes."""
        while self._more():
            if len(self._buffer) > limit:
                raise Garbage
        return bytes(self._buffer)


def _receive(reader: _Reader) -> Answer:
    for _ in range(8):  # interim answers (100, 103) come before the real one
        match = re.fullmatch(_STATUS, reader.line())
        if match is None:
            raise Garbage
        status = int(match[1])
        headers = _headers(reader)
        if status >= 200:
            return Answer(status, headers, _body(reader, status, headers))
    raise Garbage


def _headers(reader: _Reader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = reader.line()
        if not line:
            return headers
        match = re.fullmatch(_FIELD, line)
        if match is None:
            raise Garbage
        name, value = match[1].decode("ascii").lower(), match[2].decode("latin-1")
        if name in {"content-length", "transfer-encoding"} and headers.get(name, value) != value:
            raise Garbage
        headers[name] = value
    raise Garbage


def _body(reader: _Reader, status: int, headers: Mapping[str, str]) -> bytes:
    if status in {204, 304}:
        return b""
    if (coding := headers.get("transfer-encoding")) is not None:
        if coding.lower() != "chunked":
            raise Garbage
        return _chunked(reader)
    if (length := headers.get("content-length")) is not None:
        if not re.fullmatch(r"[0-9]{1,12}", length) or int(length) > MAX_BODY:
            raise Garbage
        return reader.exactly(int(length))
    return reader.to_end(MAX_BODY)


def _chunked(reader: _Reader) -> bytes:
    body = bytearray()
    while True:
        size = re.match(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;|$)", reader.line())
        if size is None or len(body) + int(size[1], 16) > MAX_BODY:
            raise Garbage
        if int(size[1], 16) == 0:
            _headers(reader)  # trailers
            return bytes(body)
        body += reader.exactly(int(size[1], 16))
        if reader.line():
            raise Garbage
