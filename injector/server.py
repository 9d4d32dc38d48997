"""The injector's socket: a raw ASGI callable, for the price of a framework is several times the work's.

``POST /mutate`` takes AdmissionReviews; ``/livez``, ``/readyz`` and ``/metrics`` are for the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from injector.handler import AdmissionHandler
from secrets_svc.core.errors import DeadlineExceeded, InvalidArgument, SecretsError, TooLarge

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Bytes of a review: the API server's own limit for an object is 1.5 MiB in etcd, and a review holds one.
MAX_REVIEW = 2 * 1024 * 1024
#: Seconds within which a review must have arrived whole.
BODY_DEADLINE = 10.0

MUTATE = "/mutate"
_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_STATUS_BY_CODE = {"invalid_argument": 400, "too_large": 413, "deadline_exceeded": 408}


class InjectorApp:
    """ASGI application of the injector.

    :param ready: whether admissions can be answered. :param metrics: the text for ``/metrics``.
    """

    def __init__(
        self, *, handler: AdmissionHandler, ready: Callable[[], bool], metrics: Callable[[], bytes]
    ) -> None:
        self._handler = handler
        self._ready = ready
        self._metrics = metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One connection event, as ASGI has it."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path == MUTATE and method == "POST":
            await self._mutate(scope, receive, send)
        elif method == "GET" and path in ("/livez", "/readyz", "/metrics"):
            await self._probe(path, send)
        else:
            await _send(send, 404, _TEXT, b"POST an AdmissionReview to " + MUTATE.encode() + b"\n")

    async def _mutate(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        try:
            for name, value in scope["headers"]:
                if name == b"content-length" and value.isdigit() and int(value) > MAX_REVIEW:
                    raise _too_large()
            body = await _read_in_time(receive)
            answer = await self._handler.answer(body)
        except SecretsError as error:
            status = _STATUS_BY_CODE.get(error.code, 500)
            await _send(send, status, _TEXT, f"{error.code}: {error.message}\n".encode())
            return
        await _send(send, 200, _JSON, answer)

    async def _probe(self, path: str, send: Send) -> None:
        if path == "/metrics":
            await _send(send, 200, _TEXT, self._metrics())
        elif path == "/livez" or self._ready():
            await _send(send, 200, _TEXT, b"ok\n")
        else:
            await _send(send, 503, _TEXT, b"the store can't be used\n")


async def _send(send: Send, status: int, content_type: tuple[bytes, bytes], body: bytes) -> None:
    headers = [content_type, (b"content-length", b"%d" % len(body))]
    if status >= 400:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidArgument("the connection ended before the review did")
        parts.append(message["body"])
        size += len(parts[-1])
        if size > MAX_REVIEW:
            raise _too_large()
        if not message.get("more_body"):
            return b"".join(parts)


async def _read_in_time(receive: Receive) -> bytes:
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            return await _read(receive)
    except TimeoutError:
        raise DeadlineExceeded(f"the review did not arrive within {BODY_DEADLINE:g} s") from None


def _too_large() -> TooLarge:
    return TooLarge(f"the review is over the limit of {MAX_REVIEW} bytes")
