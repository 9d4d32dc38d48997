"""How this edge receives: two headers for a token, callers without one by the operator's leave, protobuf."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from secrets_svc.core.errors import InvalidArgument, SecretsError, Unauthenticated, Unsupported
from secrets_svc.core.policy import Principal
from secrets_svc.edges.flyte.protocols import has_trailers, protocol_of, tells_how_to_log_in
from secrets_svc.edges.flyte.refusals import refusal
from secrets_svc.edges.gate.authentication import TokenAuthenticator, one_credential
from secrets_svc.edges.gate.bodies import Headers, Message, header
from secrets_svc.edges.gate.gate import Scope


class FlyteManners:
    """See :class:`secrets_svc.edges.gate.gate.Manners`.

    :param authenticator: knows the callers.
    :param anonymous: who a caller without credentials is, where every address is this machine's own.
    """

    edge = "flyte"

    def __init__(self, authenticator: TokenAuthenticator, *, anonymous: str | None) -> None:
        self._authenticator = authenticator
        self._anonymous = anonymous

    def is_open(self, path: str) -> bool:  # noqa: ARG002  # whatever the path
        """Nothing is: even the calls before a login have a body, which is bounded."""
        return False

    def authenticate(self, scope: Scope) -> Principal | None:
        """By ``authorization`` or ``flyte-authorization``; if both are there they must agree."""
        if tells_how_to_log_in(scope["path"]):
            return None
        headers = scope["headers"]
        given = one_credential(headers, b"authorization")
        flytes = one_credential(headers, b"flyte-authorization")
        if given is not None and flytes is not None and given != flytes:
            raise Unauthenticated("authorization and flyte-authorization differ")
        credential = given if given is not None else flytes
        if credential is None and self._anonymous is not None:
            _refuse_others(headers)
            return Principal(self._anonymous)
        return self._authenticator.authenticate(credential)

    def has_body(self, scope: Scope) -> bool:
        """Every call has one."""
        if scope["method"] != "POST":
            raise Unsupported("calls are made by POST")
        if protocol_of(scope) is None:
            kinds = "application/proto or application/json"
            other = ", or application/grpc" if has_trailers(scope) else "; gRPC is at flyte.grpc_listen"
            raise InvalidArgument(f"the content-type must be {kinds}{other}")
        return True

    def refusal(self, error: SecretsError, *, request_id: str, scope: Scope) -> Sequence[Message]:
        """In the protocol of the request."""
        return refusal(error, request_id=request_id, scope=scope)


#: What proxies add for whom they speak (RFC 7239, RFC 9110 section 7.6.3, and what came before).
_PROXIED = (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")


def _refuse_others(headers: Headers) -> None:
    """Keep others than programs of this machine from being whoever has no credentials.

    A web page in a browser here is on loopback too, by a name of its own that leads here, or by its origin.
    So is a proxy, which speaks for the network.
    """
    if any(header(headers, name) is not None for name in _PROXIED):
        raise Unauthenticated("without credentials only programs of this machine may call, and no proxy")
    host = (header(headers, b"host") or b"").decode("latin-1")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if header(headers, b"origin") is not None or not _is_loopback(name.strip("[]")):
        raise Unauthenticated("without credentials only programs of this machine may call, at its loopback")


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
