"""What happens before a request is understood: request id, authentication, a bounded body. Plain ASGI.

The body is not read before the caller is known, never beyond its limit (before and after decompression),
and not for longer than the deadline. Whatever the control plane has not recorded itself by the time it is
answered is recorded here, so that no call goes without an audit event.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from secrets_svc.control.service import Call
from secrets_svc.core.audit import AuditEvent
from secrets_svc.core.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    SecretsError,
    TooLarge,
    Unauthenticated,
)
from secrets_svc.core.policy import UNKNOWN_ACTOR
from secrets_svc.edges.rest.authentication import TokenAuthenticator
from secrets_svc.edges.rest.problems import problem

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Record = Callable[[AuditEvent], None]

#: Bytes of a request body, compressed or not: room for a value of 1 MiB in base64 and its frame.
MAX_BODY = 2 * 1024 * 1024
#: Seconds within which a whole body must have arrived.
BODY_DEADLINE = 10.0

UNFORESEEN = "an internal error; the server's log has this request id"

_REQUEST_ID = re.compile(rb"[-A-Za-z0-9_.]{1,64}")
#: Paths that need no token.
PUBLIC = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json"})
#: Headers that decide something, and must not say two things.
_SINGLE = (b"content-type", b"content-encoding", b"idempotency-key", b"if-match")
#: What an event may call a method: callers invent others.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Gate:
    """Stands in front of the API.

    :param app: what is behind. :param authenticator: knows the callers.
    :param record: takes the audit event of a call that the control plane has not recorded.
    """

    def __init__(
        self,
        app: App,
        *,
        authenticator: TokenAuthenticator,
        record: Record,
        body_deadline: float = BODY_DEADLINE,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._record = record
        self._body_deadline = body_deadline

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One connection event, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        request_id = state["request_id"] = _request_id(scope["headers"])
        answer = _Answer(send, request_id, record=self._record, method=scope["method"], state=state)
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
        if scope["path"] not in PUBLIC:
            scope["state"]["call"] = self._authenticate(scope["headers"], request_id)
            _refuse_doubled(scope["headers"])
            if scope["method"] in ("POST", "PUT", "PATCH"):
                body = await self._body(scope["headers"], receive)
                scope = {**scope, "headers": _without_encoding(scope["headers"], len(body))}
                receive = _replay(body, receive)
        await self._app(scope, receive, send)

    def _authenticate(self, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> Call:
        given = [value for key, value in headers if key == b"authorization"]
        try:
            if len(given) > 1:
                raise Unauthenticated("credentials are given twice")
            return Call(self._authenticator.authenticate(given[0] if given else None), request_id)
        except Unauthenticated as error:
            self._record(AuditEvent("api", "authenticate", UNKNOWN_ACTOR, error.code, request_id))
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
    """What the caller gets: the app's answer with the request id added, or a refusal in its stead.

    Neither begins before the call has an audit event. If that can't be kept, the caller hears so instead.

    :param state: the request's; has the ``call`` once the caller is known, and the ``error`` that the app
        answers with.
    """

    def __init__(
        self, send: Send, request_id: str, *, record: Record, method: str, state: MutableMapping[str, Any]
    ) -> None:
        self._send = send
        self._request_id = request_id
        self._record = record
        self._method = method if method in _METHODS else "other"
        self._state = state
        self._begun = False
        self._replaced = False

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            error = self._state.get("error")
            try:
                self._recorded(error.code if error is not None else "ok")
            except SecretsError as unkept:
                self._replaced = True
                await self._answer(unkept)
                return
            self._begun = True
            own = [(b"x-request-id", self._request_id.encode()), (b"cache-control", b"no-store")]
            names = {name for name, _ in own}
            kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in names]
            message = {**message, "headers": [*kept, *own]}
        await self._send(message)

    async def refuse(self, error: SecretsError) -> None:
        if self._begun or self._replaced:
            return
        try:
            self._recorded(error.code)
        except SecretsError as unkept:
            error = unkept
        await self._answer(error)

    async def _answer(self, error: SecretsError) -> None:
        status, headers, body = problem(error, request_id=self._request_id)
        headers |= {"content-length": str(len(body)), "connection": "close"}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})
        await self._send({"type": "http.response.body", "body": body})

    def _recorded(self, outcome: str) -> None:
        """See that the call of somebody known has its event. Raises ``Unavailable`` if it can't be kept."""
        call: Call | None = self._state.get("call")
        if call is not None and not call.recorded:
            actor, detail = call.principal.name, {"method": self._method}
            self._record(AuditEvent("api", "request", actor, outcome, call.request_id, detail=detail))
            call.recorded = True


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = _header(headers, b"x-request-id")
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _refuse_doubled(headers: Iterable[tuple[bytes, bytes]]) -> None:
    names = [key for key, _ in headers if key in _SINGLE]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument(f"header {name.decode()} is given twice")


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
