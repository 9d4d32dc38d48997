"""HTTP/1.1 for the webhook: an ``asyncio.Protocol`` on httptools, with what the API server needs and no more.

An admission that takes no waiting is answered in the call that brought its last byte: no task, no timer, one
write. (RFC 9112; pipelined requests are answered in their order.)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httptools

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}
TEXT = b"text/plain; charset=utf-8"
#: Bytes of a request's head.
MAX_HEAD = 64 * 1024
#: Requests of one connection that may wait for their turn before it isn't read any more.
MAX_PIPELINED = 16
#: Requests of one connection that are answered before others have their turn.
MAX_IN_A_ROW = 4


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    content_type: bytes
    body: bytes


#: Answers ``method``, ``path`` and ``body``, at once or later. It doesn't raise.
Respond = Callable[[bytes, bytes, bytes], Response | Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may ask of us.

    :param body: bytes of a request's body. :param arrival: seconds in which a whole request must arrive.
    :param first: seconds until the first request's first byte.
    :param idle: seconds between requests; above the 90 s after which the API server hangs up itself.
    """

    body: int
    arrival: float = 10.0
    first: float = 30.0
    idle: float = 120.0


class Connections:
    """The open connections of a server."""

    def __init__(self) -> None:
        self._open: set[HttpProtocol] = set()
        self._none_left = asyncio.Event()

    def add(self, connection: HttpProtocol) -> None:
        """It has just been made."""
        self._open.add(connection)
        self._none_left.clear()

    def discard(self, connection: HttpProtocol) -> None:
        """It is gone."""
        self._open.discard(connection)
        if not self._open:
            self._none_left.set()

    async def drain(self, grace: float) -> None:
        """Let what is under way finish, at most ``grace`` seconds; take nothing more."""
        for connection in tuple(self._open):
            connection.stop()
        if self._open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._none_left.wait(), grace)


@dataclass(slots=True)
class _Request:
    method: bytes
    path: bytes
    body: bytes
    keep_alive: bool


class HttpProtocol(asyncio.Protocol):
    """One connection.

    :param connections: it adds itself while it is open.
    """

    def __init__(self, respond: Respond, limits: Limits, connections: Connections) -> None:
        self._respond = respond
        self._limits = limits
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._waiting: deque[_Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._stopping = False
        self._refused = False
        self._unread = False
        self._in_a_row = 0
        self._next: asyncio.Handle | None = None
        self._begin()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = transport
        self._connections.add(self)
        self._expect_by(self._limits.first)
        self._watch = self._loop.call_later(self._limits.first, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`. Work under way is given up: nobody is there to hear of it."""
        del exc
        self._connections.discard(self)
        if self._watch is not None:
            self._watch.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._next is not None:
            self._next.cancel()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._refused:
            return
        self._in_a_row = 0 if self._next is None else self._in_a_row
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(400, b"not a valid HTTP request\n")

    def pause_writing(self) -> None:
        """The client doesn't read its answers: make no more of them, and read no more requests."""
        self._unread = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """See :meth:`pause_writing`."""
        self._unread = False
        self._take_turn_soon()

    # -- httptools' callbacks

    def on_message_begin(self) -> None:
        """The first bytes of a request."""
        self._begin()
        self._receiving = True
        self._expect_by(self._limits.arrival)

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._count(len(url))
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        self._count(len(name) + len(value))
        lower = name.lower()
        if lower == b"content-length" and value.isdigit() and int(value) > self._limits.body:
            self._refuse_body()
        elif lower == b"expect" and value.lower() == b"100-continue" and not self._refused:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_headers_complete(self) -> None:
        """The head is there."""
        if self._parser.should_upgrade():
            self._refuse(400, b"no upgrades here\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._size += len(body)
        if self._size > self._limits.body:
            self._refuse_body()
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """A whole request is there."""
        if self._refused:
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        method, keep_alive = self._parser.get_method(), self._parser.should_keep_alive()
        self._waiting.append(_Request(method, self._path, body, keep_alive))
        self._receiving = False
        self._due = float("inf")
        if len(self._waiting) == 1:
            self._answer_waiting()
        if len(self._waiting) >= MAX_PIPELINED and self._transport is not None:
            self._transport.pause_reading()

    # -- ours

    def stop(self) -> None:
        """Take no further request; close as soon as nothing is under way."""
        self._stopping = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def _begin(self) -> None:
        self._path = b""
        self._parts: list[bytes] = []
        self._size = 0
        self._head = 0
        self._receiving = False

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            self._refuse(431, b"the request's head is too large\n")

    def _answer_waiting(self) -> None:
        """Answer in order, as far as that takes no waiting and others aren't kept waiting by it."""
        while self._waiting and self._task is None and not self._unread and self._transport is not None:
            if self._in_a_row >= MAX_IN_A_ROW:
                self._take_turn_soon()
                return
            self._in_a_row += 1
            request = self._waiting.popleft()
            answer = self._respond(request.method, request.path.partition(b"?")[0], request.body)
            if not isinstance(answer, Response):
                self._task = self._loop.create_task(self._answer_later(answer, request.keep_alive))
                return
            self._send(answer, keep_alive=request.keep_alive)

    def _take_turn_soon(self) -> None:
        if self._next is None:
            self._next = self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        """Once in a turn of the loop: go on with what waits, and read on when little does."""
        self._next = None
        self._in_a_row = 0
        self._answer_waiting()
        if self._transport is not None and not self._unread and len(self._waiting) < MAX_PIPELINED:
            self._transport.resume_reading()

    async def _answer_later(self, answer: Awaitable[Response], keep_alive: bool) -> None:
        response = await answer
        self._task = None
        if self._transport is not None:
            self._send(response, keep_alive=keep_alive)
            self._take_turn_soon()

    def _send(self, response: Response, *, keep_alive: bool) -> None:
        keep_alive = keep_alive and not self._stopping
        self._transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b"
            % (
                response.status,
                _REASONS[response.status],
                response.content_type,
                len(response.body),
                b"" if keep_alive else b"connection: close\r\n",
                response.body,
            )
        )
        if keep_alive:
            if not self._receiving:
                self._expect_by(self._limits.idle)
        else:
            self._refused = True
            self._transport.close()

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer what can't be understood or is too much, and hang up."""
        if self._refused or self._transport is None:
            return
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        self._send(Response(status, TEXT, text), keep_alive=False)
        self._refused = True

    def _refuse_body(self) -> None:
        self._refuse(413, b"too_large: the body is over the limit of %d bytes\n" % self._limits.body)

    def _expect_by(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds

    def _look(self) -> None:
        """Hang up on who keeps us waiting. One timer a connection, however many requests it brings."""
        if self._transport is None:
            return
        left = self._due - self._loop.time()
        if left <= 0:
            if self._receiving:
                self._refuse(408, b"deadline_exceeded: the request did not arrive in time\n")
            self._transport.close()
            return
        self._watch = self._loop.call_later(min(left, self._limits.arrival), self._look)
