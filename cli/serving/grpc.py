"""HTTP/2 for gRPC at a socket of its own: the other server has no trailers.

Frames and streams are hypercorn's. Connections are made here, so that they speak HTTP/2 from their first byte
and end when they are idle, and so that what breaks the protocol is told in one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.protocol import ProtocolWrapper
from hypercorn.typing import ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr, wrap_app

from secrets_svc.runtime.certificates import CertificateFiles

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger(__name__)

#: Calls at once on one connection.
MAX_STREAMS = 100
#: Bytes of a call's body that are taken although it is refused, and seconds in which they must come.
MAX_DROPPED = 4 * 1024 * 1024
DROP_DEADLINE = 2.0
#: Seconds. Stores have deadlines of their own, which are shorter.
ANSWER_DEADLINE = 60.0


class GrpcServer:
    """An ASGI application at a socket, by HTTP/2.

    :param certificate: TLS with it; in clear without. :param idle_timeout: seconds that a connection may wait
        for a call. :param body_deadline: seconds that the application gives a body.
    :param answer_deadline: seconds beyond these in which a call must be over and its answer taken.
    """

    def __init__(
        self,
        app: App,
        *,
        certificate: CertificateFiles | None,
        idle_timeout: float,
        body_deadline: float,
        answer_deadline: float = ANSWER_DEADLINE,
    ) -> None:
        # At debug level it logs every header, tokens too.
        logging.getLogger("hpack").setLevel(logging.WARNING)
        self._calls = _Calls(app, body_deadline + answer_deadline)
        self._app = wrap_app(cast(Any, self._calls), 0, "asgi")
        self._idle_timeout = idle_timeout
        self._tls = _tls(certificate) if certificate is not None else None
        self._settings = _settings(idle_timeout)
        self._state = WorkerContext(None)
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def renew(self, certificate: CertificateFiles) -> None:
        """Let connections from now on get ``certificate``.

        :raises InvalidArgument: it can't be used.
        """
        if self._tls is not None:
            certificate.load_into(self._tls)

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer at ``listener``."""
        timeout = self._idle_timeout if self._tls is not None else None
        self._server = await asyncio.start_server(
            self._connected, sock=listener, ssl=self._tls, ssl_handshake_timeout=timeout
        )

    async def stop(self, grace: float) -> None:
        """Take no new calls, and let those under way finish within ``grace`` seconds."""
        if self._server is None:
            return
        self._server.close()
        await self._state.terminated.set()
        await self._wait_for_connections(grace)
        # First the calls: a connection that is ended under one waits for its answer to be taken.
        for late in (self._calls.under_way, self._connections):
            for each in tuple(late):
                each.cancel()
            await self._wait_for_connections(1.0)

    async def _wait_for_connections(self, seconds: float) -> None:
        if self._connections:
            await asyncio.wait(self._connections, timeout=seconds)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        loop = asyncio.get_running_loop()
        try:
            await _Connection(self._app, loop, self._settings, self._state, LifespanState({}), reader, writer)
        except Exception as error:  # whoever calls can bring this about
            log.debug("a gRPC connection was given up: %s", type(_innermost(error)).__name__)


def _tls(certificate: CertificateFiles) -> ssl.SSLContext:
    context = certificate.context()
    context.set_alpn_protocols(["h2"])
    context.options |= ssl.OP_NO_COMPRESSION  # RFC 9113 section 9.2.1
    return context


def _settings(idle_timeout: float) -> Config:
    settings = Config()
    settings.keep_alive_timeout = idle_timeout
    settings.h2_max_concurrent_streams = MAX_STREAMS
    settings.include_server_header = False
    settings.include_date_header = False
    settings.errorlog = logging.getLogger("hypercorn.error")
    return settings


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Connection(TCPServer):
    """hypercorn's, but HTTP/2 from the start: what begins as HTTP/1.1 is never idle again there."""

    async def run(self) -> None:
        """Until it ends, or is idle for too long."""
        connection = self.writer.get_extra_info("socket")
        try:
            client = parse_socket_addr(connection.family, connection.getpeername())
            server = parse_socket_addr(connection.family, connection.getsockname())
            is_secure = self.writer.get_extra_info("ssl_object") is not None
            async with TaskGroup(self.loop) as group:
                self._task_group = group
                state = ConnectionState(self.state)
                self.protocol = ProtocolWrapper(
                    self.app,
                    self.config,
                    self.context,
                    group,
                    state,
                    is_secure,
                    client,
                    server,
                    self.protocol_send,
                    "h2",
                )
                await self.protocol.initiate()
                await self.idle_task.restart(group, self._idle_timeout)
                await self._read_data()
        except OSError:
            pass
        finally:
            await self._close()


class _Body:
    """A request's body as it comes, of which it is known whether it has ended."""

    def __init__(self, receive: Callable[[], Awaitable[Message]]) -> None:
        self._receive = receive
        self._size = 0
        self._has_ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        self._has_ended = not message.get("more_body", False)
        return message

    async def drop_the_rest(self) -> None:
        """Take what still comes, unread: hypercorn ends the connection over data for an answered call."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DROP_DEADLINE):
                while not self._has_ended and self._size < MAX_DROPPED:
                    await self.receive()


def _after(body: _Body, send: Send) -> Send:
    """``send``, but an answer's last message waits for the body's end."""
    last = "http.response.body"

    async def send_in_turn(message: Message) -> None:
        nonlocal last
        if message["type"] == "http.response.start" and message.get("trailers", False):
            last = "http.response.trailers"
        if message["type"] == last and not message.get("more_body", message.get("more_trailers", False)):
            await body.drop_the_rest()
        await send(message)

    return send_in_turn


class _Calls:
    """What the server calls: the application for requests, each with an end, and nothing for the rest."""

    def __init__(self, app: App, deadline: float) -> None:
        self._app = app
        self._deadline = deadline
        self.under_way: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        body = _Body(receive)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        try:
            async with asyncio.timeout(self._deadline):
                await self._app(scope, body.receive, _after(body, send))
        except TimeoutError:
            log.warning("a gRPC call was given up: its answer was not taken in time")
