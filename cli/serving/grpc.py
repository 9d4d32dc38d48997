"""HTTP/2 for gRPC at a socket of its own: the other server has no trailers."""

from __future__ import annotations

import asyncio
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

#: Calls at once on one connection.
MAX_STREAMS = 100
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
            async with asyncio.timeout(self._deadline):
                await self._app(scope, receive, send)

    async def _live(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await receive()
        self.started.set()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
