"""HTTP servers side by side in one event loop, with sockets of our own making."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.runtime.certificates import CertificateFiles

log = logging.getLogger(__name__)

#: Seconds that requests under way get to finish when the server stops.
GRACE = 10
#: Bytes of a request's head, which come before anybody has shown who he is.
MAX_HEAD = 64 * 1024
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
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
        raise Unavailable(
            f"{setting}: something listens at {address} already; another address is set there or by "
            f"SECRETS_SVC_{setting.upper().replace('.', '__')}"
        ) from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """``HOST:PORT`` as bound, also where the port was left to the system."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reachable_at(listener: socket.socket) -> str:
    """As :func:`address_of`, and where it listens everywhere, how this machine reaches it."""
    address = address_of(listener)
    for everywhere, here in (("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")):
        if address.startswith(everywhere):
            return here + address.removeprefix(everywhere)
    return address


def is_loopback(listener: socket.socket) -> bool:
    """Whether nobody but this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


class _IdleClosing(HttpToolsProtocol):
    """uvicorn's protocol, which also closes connections whose request's head never ends, or is huge."""

    idle_timeout: float
    _head_timer: asyncio.TimerHandle | None = None
    _head_size = 0

    def data_received(self, data: bytes) -> None:
        in_head = self._head_timer is not None
        super().data_received(data)
        if in_head and self._head_timer is not None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self.transport.write(_HEAD_TOO_LARGE)
                self._give_up()

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
        self._head_timer = self.loop.call_later(self.idle_timeout, self._give_up)

    def _stop_waiting(self) -> None:
        self._head_size = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._stop_waiting()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


def idle_closing(timeout: float) -> type[HttpToolsProtocol]:
    """The protocol for the API's connections.

    :param timeout: seconds from the connection's beginning, or from a request's first byte.
    """

    class IdleClosingProtocol(_IdleClosing):
        idle_timeout = timeout

    return IdleClosingProtocol


class _Server(uvicorn.Server):
    """uvicorn's server, without its own signal handlers: one process runs several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiServer:
    """An ASGI application at a socket.

    :param certificate: TLS with it; plain HTTP without. :param idle_timeout: seconds for a request's head.
    :param keep_alive: seconds that a connection may wait for its next request.
    """

    def __init__(
        self, app: Any, *, certificate: CertificateFiles | None, idle_timeout: float, keep_alive: int = 65
    ) -> None:
        config = uvicorn.Config(
            app,
            http=idle_closing(idle_timeout),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=keep_alive,
        )
        # uvicorn would make a context with its own ideas of ciphers, and never look at the files again.
        self._context = certificate.context() if certificate else None
        config.load()
        config.ssl = self._context
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    def renew(self, certificate: CertificateFiles) -> None:
        """Let connections from now on get ``certificate``.

        :raises InvalidArgument: it can't be used.
        """
        if self._context is not None:
            certificate.load_into(self._context)

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer at ``listener``."""
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            if self._task.done():
                await self._task
            await asyncio.sleep(0.01)

    async def stop(self, grace: float) -> None:
        """Take no new requests, and let those under way finish within ``grace`` seconds."""
        if self._task is not None:
            self._server.config.timeout_graceful_shutdown = int(grace)
            self._server.should_exit = True
            await self._task


class AnyServer(Protocol):
    """What can be run beside others."""

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer at ``listener``."""

    async def stop(self, grace: float) -> None:
        """Take no new requests, and let those under way finish within ``grace`` seconds."""


async def serve_together(
    servers: Sequence[tuple[AnyServer, socket.socket]],
    *,
    started: Callable[[], None],
    renew: Callable[[], None],
) -> None:
    """Run all of ``servers`` until SIGINT or SIGTERM, then let requests under way finish.

    :param started: called once all listen. :param renew: called every hour, to look after certificates.
    """
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_stop.set)
    renewing = asyncio.create_task(_renew_for_ever(renew))
    running: list[AnyServer] = []
    try:
        for server, listener in servers:
            running.append(server)
            await server.start(listener)
        started()
        await asked_to_stop.wait()
    finally:
        renewing.cancel()
        await asyncio.gather(*(server.stop(GRACE) for server in running))


async def _renew_for_ever(renew: Callable[[], None], interval: float = RENEWAL_INTERVAL) -> None:
    while True:
        await asyncio.sleep(interval)
        try:
            renew()
        except Exception as error:  # the next look may fare better; stopping would let it run out
            log.error("unforeseen %s while looking after certificates", type(error).__name__)
