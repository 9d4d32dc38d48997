"""HTTP/1.1 for the webhook: an ``asyncio.Protocol`` on httptools, with what the API server needs and no more.

Requests that arrive in one turn of the event loop are answered together, so that what they share (asking the
store, writing the audit file) is done once, and after all of them arrived. An answer that takes no waiting
needs no task and no timer. (RFC 9112; pipelined requests are answered in their order.)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httptools

log = logging.getLogger(__name__)

_REASONS = {
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
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
#: Requests that are answered together, and bytes of their bodies after which no more are taken into a turn.
MAX_TURN = 64
MAX_TURN_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    content_type: bytes
    body: bytes


@dataclass(slots=True)
class Request:
    """A request, whole.

    :param path: without the query. :param certified: whether the caller has shown a certificate that holds.
    """

    method: bytes
    path: bytes
    body: bytes
    keep_alive: bool
    certified: bool = False
    query: bytes = b""


Answer = Response | Awaitable[Response]
#: Answers the requests of one turn, each at once or later. It doesn't raise.
Respond = Callable[[Sequence[Request]], Sequence[Answer]]


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


class Turns:
    """Gathers the requests of a turn of the loop, one a connection, and answers them together."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[tuple[HttpProtocol, Request]] = deque()

    def add(self, connection: HttpProtocol, request: Request) -> None:
        """It is answered soon, by :meth:`HttpProtocol.answer`."""
        if not self._arrived:
            self._loop.call_soon(self._run)
        self._arrived.append((connection, request))

    def _run(self) -> None:
        turn = self._take()
        if self._arrived:
            self._loop.call_soon(self._run)
        answers = self._respond_safely([request for _, request in turn])
        for (connection, request), answer in zip(turn, answers, strict=True):
            connection.answer(request, answer)

    def _respond_safely(self, requests: Sequence[Request]) -> Sequence[Answer]:
        try:
            return self._respond(requests)
        except Exception as error:
            log.error("unforeseen %s while answering", type(error).__name__)
            return [Response(500, TEXT, b"internal\n")] * len(requests)

    def _take(self) -> list[tuple[HttpProtocol, Request]]:
        turn: list[tuple[HttpProtocol, Request]] = []
        size = 0
        while self._arrived and len(turn) < MAX_TURN and size < MAX_TURN_BYTES:
            connection, request = self._arrived.popleft()
            if connection.is_open:
                turn.append((connection, request))
                size += len(request.body)
        return turn


class HttpProtocol(asyncio.Protocol):
    """One connection.

    :param turns: what answers its requests. :param connections: it adds itself while it is open.
    """

    def __init__(self, turns: Turns, limits: Limits, connections: Connections) -> None:
        self._turns = turns
        self._limits = limits
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._certified = False
        self._waiting: deque[Request] = deque()
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._stopping = False
        self._refused = False
        self._unread = False
        self._paused = False
        self._last: Response | None = None
        self._begin()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = transport
        self._certified = bool(transport.get_extra_info("peercert"))
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
        self._waiting.clear()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(400, b"not a valid HTTP request\n")

    def pause_writing(self) -> None:
        """The client doesn't read its answers: make no more of them, and read no more requests."""
        self._unread = True
        self._pause_reading()

    def resume_writing(self) -> None:
        """See :meth:`pause_writing`."""
        self._unread = False
        self._go_on()

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
        path, _, query = self._path.partition(b"?")
        keep_alive = self._parser.should_keep_alive()
        self._waiting.append(
            Request(self._parser.get_method(), path, body, keep_alive, self._certified, query)
        )
        self._receiving = False
        self._due = float("inf")
        self._go_on()
        if len(self._waiting) >= MAX_PIPELINED:
            self._pause_reading()

    # -- ours

    @property
    def is_open(self) -> bool:
        """Whether anybody is there to hear an answer."""
        return self._transport is not None

    def answer(self, request: Request, answer: Answer) -> None:
        """Send it, as soon as it is there."""
        if isinstance(answer, Response):
            self._finish(request, answer)
        else:
            self._task = self._loop.create_task(self._answer_later(request, answer))

    def stop(self) -> None:
        """Take no further request; close as soon as nothing is under way."""
        self._stopping = True
        if not self._busy and self._transport is not None:
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

    def _go_on(self) -> None:
        """Have the next request answered, if there is one, its turn has come and its answer would be read."""
        if self._busy or self._unread or self._transport is None:
            return
        if self._waiting:
            self._busy = True
            self._turns.add(self, self._waiting.popleft())
        elif self._last is not None:
            self._send(self._last, keep_alive=False)
        if self._paused and len(self._waiting) < MAX_PIPELINED:
            self._paused = False
            self._transport.resume_reading()

    def _pause_reading(self) -> None:
        if self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    async def _answer_later(self, request: Request, answer: Awaitable[Response]) -> None:
        response = await answer
        self._task = None
        self._finish(request, response)

    def _finish(self, request: Request, response: Response) -> None:
        self._busy = False
        if self._transport is not None:
            self._send(response, keep_alive=request.keep_alive)
            self._go_on()

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
            self._waiting.clear()
            self._last = None
            self._transport.close()

    def _refuse(self, status: int, text: bytes) -> None:
        """Read no more. Say why and hang up, once what came before is answered."""
        if self._refused or self._transport is None:
            return
        self._refused = True
        self._last = Response(status, TEXT, text)
        self._go_on()

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
            if self._refused or not self._receiving:
                self._transport.close()
                return
            left = self._limits.arrival
            self._expect_by(left)
            self._refuse(408, b"deadline_exceeded: the request did not arrive in time\n")
        self._watch = self._loop.call_later(min(left, self._limits.arrival), self._look)
