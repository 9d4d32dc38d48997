"""What happens before a request is understood: request id, authentication, a bounded body. Plain ASGI.

The body is not read before the caller is known, never beyond its limit (before and after decompression),
and not for longer than the deadline.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from secrets_svc.core.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    SecretsError,
    TooLarge,
    Unauthenticated,
)
from secrets_svc.core.policy import Principal
from secrets_svc.edges.rest.authentication import TokenAuthenticator
from secrets_svc.edges.rest.problems import problem

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: Bytes of a request body, compressed or not: room for a value of 1 MiB in base64 and its frame.
MAX_BODY = 2 * 1024 * 1024
#: Seconds within which a whole body must have arrived.
BODY_DEADLINE = 10.0

UNFORESEEN = "an internal error; the server's log has this request id"

_REQUEST_ID = re.compile(rb"[-A-Za-z0-9_.]{1,64}")
_PUBLIC = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json", "/docs"})


class Gate:
    """Stands in front of the API.

    :param app: what is behind. :param authenticator: knows the callers.
    :param refused: told of each caller turned away, with request id and reason's code (for the audit).
    """

    def __init__(
        self,
        app: App,
        *,
        authenticator: TokenAuthenticator,
        refused: Callable[[str, SecretsError], None],
        body_deadline: float = BODY_DEADLINE,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._refused = refused
        self._body_deadline = body_deadline

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One connection event, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope["headers"])
        answer = _Answer(send, request_id)
        try:
            await self._pass(scope, receive, answer.send, request_id)
        except SecretsError as error:
            await answer.refuse(error)
        except Exception as error:
            # Neither the text nor the values of an unforeseen error go anywhere; its type and place do.
            log.error("unforeseen %s at %s, request %s", type(error).__name__, place_of(error), request_id)
            await answer.refuse(Internal(UNFORESEEN))

    async def _pass(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, request_id: str
    ) -> None:
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        if scope["path"] not in _PUBLIC:
            state["principal"] = self._authenticate(scope["headers"], request_id)
            if scope["method"] in ("POST", "PUT", "PATCH"):
                body = await self._body(scope["headers"], receive)
                scope = {**scope, "headers": _without_encoding(scope["headers"], len(body))}
                receive = _replay(body, receive)
        await self._app(scope, receive, send)

    def _authenticate(self, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> Principal:
        try:
            return self._authenticator.authenticate(_header(headers, b"authorization"))
        except Unauthenticated as error:
            self._refused(request_id, error)
            raise

    async def _body(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> bytes:
        content_type = (_header(headers, b"content-type") or b"").partition(b";")[0].strip().lower()
        if content_type != b"application/json":
            raise InvalidArgument("the body must be JSON: send content-type: application/json")
        encoding = (_header(headers, b"content-encoding") or b"identity").strip().lower()
        if encoding not in (b"identity", b"gzip"):
            raise InvalidArgument("the only content-encoding taken is gzip")
        declared = _header(headers, b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > MAX_BODY:
            raise _too_large()
        try:
            async with asyncio.timeout(self._body_deadline):
                raw = await _read_all(receive)
        except TimeoutError:
            raise DeadlineExceeded(f"the body did not arrive within {self._body_deadline:g} s") from None
        return _gunzip(raw) if encoding == b"gzip" else raw


def place_of(error: BaseException) -> str:
    """``file:line`` where ``error`` was raised: safe to log, unlike its text."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown"
    return f"{traceback.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{traceback.tb_lineno}"


class _Answer:
    """Adds the request id to what the app answers, and can answer in its stead until it has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            own = [(b"x-request-id", self._request_id.encode()), (b"cache-control", b"no-store")]
            names = {name for name, _ in own}
            kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in names]
            message = {**message, "headers": [*kept, *own]}
        await self._send(message)

    async def refuse(self, error: SecretsError) -> None:
        if self._begun:
            return
        status, headers, body = problem(error, request_id=self._request_id)
        headers |= {"content-length": str(len(body)), "connection": "close"}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})
        await self._send({"type": "http.response.body", "body": body})


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = _header(headers, b"x-request-id")
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)


async def _read_all(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidArgument("the connection ended before the body did")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _gunzip(data: bytes) -> bytes:
    decompressor = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        inflated = decompressor.decompress(data, MAX_BODY + 1)
    except zlib.error:
        raise InvalidArgument("the body is not valid gzip") from None
    if len(inflated) > MAX_BODY:
        raise _too_large()
    if not decompressor.eof or decompressor.unused_data:
        raise InvalidArgument("the body is not one complete gzip stream")
    return inflated


def _too_large() -> TooLarge:
    return TooLarge(f"the body is over the limit of {MAX_BODY} bytes")


def _without_encoding(headers: Iterable[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    kept = [pair for pair in headers if pair[0] not in dropped]
    return [*kept, (b"content-length", str(length).encode())]


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replay
