"""From a request to a method of a service and back, by the protocol's library.

The library gets nothing but one plain message: what is packed or framed was seen to before. Of its answers
only those to calls that went well are passed on; whatever goes wrong is raised, and answered by the gate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from connectrpc.request import RequestContext

from secrets_svc.control.service import Call
from secrets_svc.core.errors import InvalidArgument, TooLarge, Unsupported
from secrets_svc.edges.flyte.framing import unframed
from secrets_svc.edges.flyte.protocols import Protocol, canonical_path, protocol_of
from secrets_svc.edges.gate.bodies import Headers, Message, Receive, header, media_type, replay
from secrets_svc.edges.gate.gate import App, Scope, Send


@dataclass(slots=True)
class _Exchange:
    """What the library doesn't hand through: who calls, and how it went.

    :param call: ``None`` where anybody may. :param sent_id: the request id, as the caller gave it.
    """

    call: Call | None
    sent_id: bytes | None
    reached: bool = False
    error: Exception | None = None


_EXCHANGE: ContextVar[_Exchange] = ContextVar("exchange")


def current_call() -> Call:
    """Who calls the method that runs."""
    call = _EXCHANGE.get().call
    assert call is not None, "this method is for callers that are known"
    return call


def sent_request_id() -> str:
    """The request id that the caller gave, empty if none."""
    return (_EXCHANGE.get().sent_id or b"").decode("latin-1")


class Noticing:
    """Notices that a method was reached, and how it failed. The library takes it as an interceptor."""

    async def intercept_unary(
        self,
        call_next: Callable[[Any, RequestContext[Any, Any]], Awaitable[Any]],
        request: Any,
        ctx: RequestContext[Any, Any],
    ) -> Any:
        """Call the method."""
        exchange = _EXCHANGE.get()
        exchange.reached = True
        try:
            return await call_next(request, ctx)
        except Exception as error:
            exchange.error = error
            raise


#: Bytes. JSON is read in the event loop, at a hundred times the cost of protobuf; clients send none.
MAX_JSON = 64 * 1024
_JSON = b"application/json"


class Calls:
    """An ASGI application for services of the library.

    :param services: by what their paths begin with, up to the method.
    """

    def __init__(self, services: Mapping[str, App]) -> None:
        self._services = dict(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, whose body is bounded already."""
        path = canonical_path(scope["path"])
        service = self._services.get(path.rpartition("/")[0])
        if service is None:
            raise Unsupported("that service is not here: secrets, their cluster and how to log in are")
        body = (await receive())["body"]
        headers = _with_plain_type(scope["headers"])
        if media_type(headers) == _JSON and len(body) > MAX_JSON:
            raise TooLarge(f"a body in JSON may have {MAX_JSON} bytes: send application/proto")
        if protocol_of(scope) is Protocol.GRPC:
            body, headers = unframed(body, headers)
        exchange = _Exchange(scope["state"].get("call"), header(headers, b"x-request-id"))
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        inner = {**scope, "path": path, "root_path": "", "headers": headers}
        before = _EXCHANGE.set(exchange)
        try:
            await service(inner, replay(body, receive), keep)
        except Exception:
            if exchange.reached and exchange.error is None:
                raise  # our own answer could not be put into bytes
        finally:
            _EXCHANGE.reset(before)
        _raise_what_went_wrong(exchange, cast(int, answer[0]["status"]) if answer else 0)
        for message in answer:
            await send(message)


def _with_plain_type(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The library knows a content type by its whole text: parameters and capitals are left out."""
    others = [pair for pair in headers if pair[0] != b"content-type"]
    return [*others, (b"content-type", media_type(headers))]


def _raise_what_went_wrong(exchange: _Exchange, status: int) -> None:
    if exchange.error is not None:
        raise exchange.error
    if status == 404:
        raise Unsupported("that service has no such method")
    if not exchange.reached:
        raise InvalidArgument("the message can't be understood")
