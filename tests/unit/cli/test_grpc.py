"""The server for gRPC: certificates that change, and how it stops."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from h2.settings import SettingCodes
from h2_calls import Grpc, frame

from cli.serving.grpc import GrpcServer
from cli.serving.sockets import address_of, bind
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.runtime.certificates import CertificateFiles, own_certificates


class App:
    """Takes its time, and answers as gRPC does."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.began = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.began.set()
        while (await receive()).get("more_body", False):
            pass
        await asyncio.sleep(self.seconds)
        headers = [(b"content-type", b"application/grpc")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
        await send({"type": "http.response.body", "body": frame(b"")})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})


@asynccontextmanager
async def serving(
    app: App, certificate: CertificateFiles | None = None, **more: float
) -> AsyncIterator[tuple[GrpcServer, str]]:
    server = GrpcServer(app, certificate=certificate, **{"idle_timeout": 20, "body_deadline": 20, **more})
    listener = bind("127.0.0.1:0", "flyte.grpc_listen")
    await server.start(listener)
    try:
        yield server, address_of(listener)
    finally:
        await server.stop(0.1)


def call(address: str, tls: ssl.SSLContext | None = None) -> str:
    with Grpc(address, tls=tls) as grpc:
        return grpc.call("/x", None, frame(b""))["grpc-status"]


def trusting(files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.ca))
    context.set_alpn_protocols(["h2"])
    return context


def test_connections_from_then_on_get_the_new_certificate(tmp_path: Path) -> None:
    old, new = (own_certificates(tmp_path / name, ("127.0.0.1",)) for name in ("old", "new"))

    async def run() -> None:
        async with serving(App(), old) as (server, address):
            assert await asyncio.to_thread(call, address, trusting(old)) == "0"
            server.renew(new)
            assert await asyncio.to_thread(call, address, trusting(new)) == "0"
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.to_thread(call, address, trusting(old))
            with pytest.raises(InvalidArgument):
                server.renew(CertificateFiles(tmp_path / "absent", tmp_path / "absent"))

    asyncio.run(run())


def test_a_call_under_way_is_finished() -> None:
    async def run() -> None:
        app = App(0.5)
        async with serving(app) as (server, address):
            under_way = asyncio.create_task(asyncio.to_thread(call, address))
            await app.began.wait()
            await server.stop(10)
            assert await under_way == "0"

    asyncio.run(run())


def test_a_call_that_does_not_end_is_not_waited_for() -> None:
    async def run() -> None:
        app = App(3600)
        async with serving(app) as (server, address):
            under_way = asyncio.create_task(asyncio.to_thread(call, address))
            await app.began.wait()
            started = time.monotonic()
            await server.stop(0.3)
            assert time.monotonic() - started < 5
            with pytest.raises((EOFError, OSError, KeyError)):
                await under_way

    asyncio.run(run())


def test_an_answer_that_nobody_takes_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """A client may leave no room for data for ever; what it is sent then waits, but not for ever."""

    def dawdle(address: str) -> float:
        with Grpc(address) as grpc:
            grpc.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
            grpc.send(grpc.begin("/x", None), frame(b""))
            started = time.monotonic()
            with suppress(EOFError, ConnectionResetError):
                while time.monotonic() - started < 30:
                    grpc.receive()
            return time.monotonic() - started

    async def run() -> None:
        async with serving(App(), idle_timeout=0.5, body_deadline=0.5, answer_deadline=0.5) as (_, address):
            assert 0.9 < await asyncio.to_thread(dawdle, address) < 10

    asyncio.run(run())
    assert "its answer was not taken in time" in caplog.text
