"""The token endpoint (RFC 6749 section 4.4) as an ASGI application."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from secrets_svc.control.service import Call
from secrets_svc.core.audit import AuditEvent
from secrets_svc.core.errors import InvalidArgument, Unsupported
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.gate.bodies import Receive
from secrets_svc.edges.gate.gate import App, Gate, Record, Scope, Send
from secrets_svc.edges.oauth.manners import TokenManners

#: Where it is.
TOKEN_PATH = "/oauth2/token"  # noqa: S105  # a path
#: What clients ask for, all of it: what a caller may do is the policy's business.
SCOPE = "all"
#: More fields than any grant has.
_MAX_FIELDS = 16


def build_token_app(
    *, authenticator: TokenAuthenticator, lifetime: int, record: Record, body_deadline: float
) -> App:
    """The token endpoint.

    :param authenticator: knows the clients, and makes the tokens. :param lifetime: of a token, in seconds.
    :param record: takes audit events. :param body_deadline: seconds for a whole body.
    """
    endpoint = _TokenEndpoint(authenticator, lifetime, record)
    return Gate(endpoint, manners=TokenManners(authenticator), record=record, body_deadline=body_deadline)


class _TokenEndpoint:
    def __init__(self, authenticator: TokenAuthenticator, lifetime: int, record: Record) -> None:
        self._authenticator = authenticator
        self._lifetime = lifetime
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call: Call = scope["state"]["call"]
        _check_form((await receive())["body"])
        token = self._authenticator.access_token(call.principal, self._lifetime)
        detail = {"edge": call.edge}
        self._record(AuditEvent("api", "token", call.principal.name, "ok", call.request_id, detail=detail))
        call.recorded = True
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self._lifetime, "scope": SCOPE}
        body = json.dumps(answer).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"pragma", b"no-cache"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _check_form(body: bytes) -> None:
    """See that it asks for what there is. Scope and audience don't matter: there is one of each."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise InvalidArgument("the body is not a form") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidArgument("a field is given twice")
    if "grant_type" not in fields:
        raise InvalidArgument("grant_type is missing")
    if fields["grant_type"] != "client_credentials":
        raise Unsupported("the only grant_type is client_credentials")
