"""HTTP/2 for gRPC at a socket of its own: the other server has no trailers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Config, Sockets
from hypercorn.utils import wrap_app

from secrets_svc.runtime.certificates import CertificateFiles

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

log = logging.getLogger(__name__)

#: What asyncio says when a connection's handler failed.
_BROKEN = "Unhandled exception in client_connected_cb"
#: Calls at once on one connection.
MAX_STREAMS = 100
#: Bytes of a call's body that are taken although it is refused, and seconds in which they must come.
MAX_DROPPED = 4 * 1024 * 1024
DROP_DEADLINE = 2.0
#: Seconds beyond its body's deadline in which a call must be over and its answer taken.
CALL_DEADLINE = 60.0


class _Settings(Config):
    """hypercorn's, with a TLS context of our making, so that certificates can be exchanged."""

    context: ssl.SSLContext | None = None

    @property
    def ssl_enabled(self) -> bool:
        return self.context is not None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        return self.context


class GrpcServer:
    """An ASGI application at a socket, by HTTP/2.

    :param certificate: TLS with it; in clear without. :param idle_timeout: seconds that a connection may wait
        for a call. :param body_deadline: seconds that the application gives a body.
    """

    def __init__(
        self, app: App, *, certificate: CertificateFiles | None, idle_timeout: float, body_deadline: float
    ) -> None:
        self._app = _Calls(app, body_deadline + CALL_DEADLINE)
        self._context = None
        if certificate is not None:
            self._context = certificate.context()
            self._context.set_alpn_protocols(["h2"])
            self._context.options |= ssl.OP_NO_COMPRESSION
        self._config = _settings(self._context, idle_timeout)
        self._asked_to_stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def renew(self, certificate: CertificateFiles) -> None:
        """Let connections from now on get ``certificate``.

        :raises InvalidArgument: it can't be used.
        """
        if self._context is not None:
            certificate.load_into(self._context)

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer at ``listener``."""
        asyncio.get_running_loop().set_exception_handler(_log_briefly)
        is_secure = self._context is not None
        sockets = Sockets([listener] if is_secure else [], [] if is_secure else [listener], [])
        self._task = asyncio.create_task(
            worker_serve(
                wrap_app(cast(Any, self._app), 0, "asgi"),
                self._config,
                sockets=sockets,
                shutdown_trigger=self._asked_to_stop.wait,
            )
        )
        started = asyncio.create_task(self._app.started.wait())
        await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            started.cancel()
            await self._task

    async def stop(self, grace: float) -> None:
        """Take no new calls, and let those under way finish within ``grace`` seconds."""
        if self._task is None:
            return
        self._config.graceful_timeout = grace
        self._asked_to_stop.set()
        # Where a connection doesn't end, later releases of Python wait for it without an end themselves.
        await asyncio.wait({self._task}, timeout=grace)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def _settings(context: ssl.SSLContext | None, idle_timeout: float) -> Config:
    settings = _Settings()
    settings.context = context
    settings.keep_alive_timeout = idle_timeout
    settings.ssl_handshake_timeout = idle_timeout
    settings.h2_max_concurrent_streams = MAX_STREAMS
    settings.include_server_header = False
    settings.include_date_header = False
    settings.accesslog = None
    # Says at every start what we say better.
    settings.errorlog = logging.getLogger("hypercorn.error")
    settings.errorlog.setLevel(logging.WARNING)
    return settings


def _log_briefly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """One line for a connection that broke the protocol, which anybody can make: no traceback."""
    error = context.get("exception")
    if context.get("message") == _BROKEN and error is not None:
        log.warning("a gRPC connection was given up: %s", type(_innermost(error)).__name__)
    else:
        loop.default_exception_handler(context)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


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


def _after(body: _Body, send: Callable[[Message], Awaitable[None]]) -> Callable[[Message], Awaitable[None]]:
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
        self.started = asyncio.Event()

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            body = _Body(receive)
            async with asyncio.timeout(self._deadline):
                await self._app(scope, body.receive, _after(body, send))

    async def _live(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await receive()
        self.started.set()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
