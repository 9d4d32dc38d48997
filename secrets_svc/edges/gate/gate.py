"""What happens before a request is understood: request id, authentication, a bounded body. Plain ASGI.

The body is not read before the caller is known, never beyond its limit (before and after decompression),
and not for longer than the deadline. Whatever the control plane has not recorded itself by the time it is
answered is recorded here, so that no call goes without an audit event.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

from secrets_svc.control.service import Call
from secrets_svc.core.audit import AuditEvent
from secrets_svc.core.errors import Internal, InvalidArgument, SecretsError
from secrets_svc.core.policy import UNKNOWN_ACTOR, Principal
from secrets_svc.edges.gate.bodies import (
    BODY_DEADLINE,
    MAX_BODY,
    MAX_STRANGERS_BODY,
    Headers,
    Message,
    Receive,
    header,
    read_body,
    replay,
    without_encoding,
)

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Record = Callable[[AuditEvent], None]

UNFORESEEN = "an internal error; the server's log has this request id"

_REQUEST_ID = re.compile(rb"[-A-Za-z0-9_.]{1,64}")
#: Headers that decide something, and must not say two things.
_SINGLE = (b"content-type", b"content-encoding", b"idempotency-key", b"if-match")
#: What an event may call a method: callers invent others.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Manners(Protocol):
    """How an edge receives: what differs between formats in what the gate does for all of them."""

    @property
    def edge(self) -> str | None:
        """What audit events call the edge; ``None`` for the one that isn't told apart."""

    def is_open(self, path: str) -> bool:
        """Whether that path is for everybody, without an audit event, and its body nobody's business."""

    def authenticate(self, scope: Scope) -> Principal | None:
        """Who calls; ``None`` where anybody may. The body was not read yet. Raises ``Unauthenticated``."""

    def has_body(self, scope: Scope) -> bool:
        """Whether a body is expected. Raises ``InvalidArgument`` if not of the type that it says."""

    def refusal(self, error: SecretsError, *, request_id: str, scope: Scope) -> Sequence[Message]:
        """The answer that says ``error``, as ASGI messages."""


class Gate:
    """Stands in front of an edge.

    :param app: what is behind. :param manners: of that edge.
    :param record: takes the audit event of a call that the control plane has not recorded.
    """

    def __init__(
        self, app: App, *, manners: Manners, record: Record, body_deadline: float = BODY_DEADLINE
    ) -> None:
        self._app = app
        self._manners = manners
        self._record = record
        self._body_deadline = body_deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        request_id = state["request_id"] = _request_id(scope["headers"])
        answer = _Answer(send, scope, manners=self._manners, record=self._record)
        try:
            await self._pass(scope, receive, answer.send, request_id)
        except SecretsError as error:
            await answer.refuse(error)
        except Exception as error:
            # Neither the text nor the values of an unforeseen error go anywhere; its type and place do.
            log.error("unforeseen %s at %s, request %s", type(error).__name__, place_of(error), request_id)
            await answer.refuse(Internal(UNFORESEEN))

    async def _pass(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        if not self._manners.is_open(scope["path"]):
            principal = self._authenticate(scope, request_id)
            if principal is not None:
                scope["state"]["call"] = Call(principal, request_id, edge=self._manners.edge)
            _refuse_doubled(scope["headers"])
            if self._manners.has_body(scope):
                limit = MAX_STRANGERS_BODY if principal is None else MAX_BODY
                headers, deadline = scope["headers"], self._body_deadline
                body = await read_body(headers, receive, deadline=deadline, limit=limit)
                scope = {**scope, "headers": without_encoding(scope["headers"], len(body))}
                receive = replay(body, receive)
        await self._app(scope, receive, send)

    def _authenticate(self, scope: Scope, request_id: str) -> Principal | None:
        try:
            return self._manners.authenticate(scope)
        except Exception as error:
            code = error.code if isinstance(error, SecretsError) else Internal.code
            event = AuditEvent("api", "authenticate", UNKNOWN_ACTOR, code, request_id)
            event.detail = _through(self._manners.edge)
            self._record(event)
            raise


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

    :param scope: its state has the ``call`` once the caller is known, and the ``error`` that the app answers
        with.
    """

    def __init__(self, send: Send, scope: Scope, *, manners: Manners, record: Record) -> None:
        self._send = send
        self._scope = scope
        self._state = scope["state"]
        self._request_id: str = self._state["request_id"]
        self._manners = manners
        self._record = record
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
        for message in self._manners.refusal(error, request_id=self._request_id, scope=self._scope):
            await self._send(message)

    def _recorded(self, outcome: str) -> None:
        """See that the call of somebody known has its event. Raises ``Unavailable`` if it can't be kept."""
        call: Call | None = self._state.get("call")
        if call is not None and not call.recorded:
            method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
            detail = {"method": method, **_through(call.edge)}
            self._record(
                AuditEvent("api", "request", call.principal.name, outcome, call.request_id, detail=detail)
            )
            call.recorded = True


def _through(edge: str | None) -> dict[str, Any]:
    """What an event says of the edge that a call came through."""
    return {} if edge is None else {"edge": edge}


def _request_id(headers: Headers) -> str:
    given = header(headers, b"x-request-id")
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _refuse_doubled(headers: Headers) -> None:
    names = [key for key, _ in headers if key in _SINGLE]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument(f"header {name.decode()} is given twice")
