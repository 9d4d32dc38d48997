"""HTTP servers side by side in one event loop, with sockets of our own making."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.runtime.certificates import CertificateFiles

#: Seconds that requests under way get to finish when the server stops.
GRACE = 10
#: Seconds. The API server drops idle connections to webhooks after 90 s: we must not do so before it.
KEEP_ALIVE = 120
#: Seconds between looks at the certificate's age.
RENEWAL_INTERVAL = 3600.0


def bind(address: str, setting: str) -> socket.socket:
    """A listening socket for ``HOST:PORT``.

    :param setting: where the address comes from, for the message.
    :raises Unavailable: somebody else listens there. :raises InvalidArgument: no such address here.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError) or error.errno != 98:
            raise InvalidArgument(f"{setting}: can't listen at {address}") from error
        raise Unavailable(f"{setting}: something listens at {address} already") from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """``HOST:PORT`` as bound, also where the port was left to the system."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def idle_closing(timeout: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, which also closes connections that never complete a request's head.

    :param timeout: seconds from the connection's beginning, or from a request's first byte.
    """

    class IdleClosingProtocol(HttpToolsProtocol):
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_head()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._head_timer is None:
                self._await_head()

        def on_headers_complete(self) -> None:
            self._stop_waiting()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _await_head(self) -> None:
            self._head_timer = self.loop.call_later(timeout, self._give_up)

        def _stop_waiting(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _give_up(self) -> None:
            self._head_timer = None
            if self.transport is not None and not self.transport.is_closing():
                self.transport.close()

    return IdleClosingProtocol


class _Server(uvicorn.Server):
    """uvicorn's server, without its own signal handlers: one process runs several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(
    app: Any, *, certificate: CertificateFiles | None, idle_timeout: float, keep_alive: int = KEEP_ALIVE
) -> uvicorn.Server:
    """A server for an ASGI application.

    :param certificate: TLS with it; plain HTTP without. :param idle_timeout: seconds for a request's head.
    """
    config = uvicorn.Config(
        app,
        http=idle_closing(idle_timeout),
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=str(certificate.cert) if certificate else None,
        ssl_keyfile=str(certificate.key) if certificate else None,
    )
    config.load()
    return _Server(config)


async def serve_together(
    servers: Sequence[tuple[uvicorn.Server, socket.socket]],
    *,
    started: Callable[[], None],
    renew: Callable[[], None],
) -> None:
    """Run all of ``servers`` until SIGINT or SIGTERM, then let requests under way finish.

    :param started: called once all listen. :param renew: called every hour, to look after certificates.
    """
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server, _ in servers:
            server.force_exit = server.should_exit
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    tasks = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    renewing = asyncio.create_task(_renew_for_ever(renew))
    try:
        while not all(server.started for server, _ in servers):
            if any(task.done() for task in tasks):
                break
            await asyncio.sleep(0.01)
        else:
            started()
        await asyncio.gather(*tasks)
    finally:
        renewing.cancel()
        stop()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _renew_for_ever(renew: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(RENEWAL_INTERVAL)
        renew()
