"""How the REST API receives: bearer tokens, JSON bodies, problem documents."""

from __future__ import annotations

from collections.abc import Sequence

from secrets_svc.core.errors import InvalidArgument, SecretsError
from secrets_svc.core.policy import Principal
from secrets_svc.edges.gate.authentication import TokenAuthenticator, one_credential
from secrets_svc.edges.gate.bodies import Message, media_type
from secrets_svc.edges.gate.gate import Scope
from secrets_svc.edges.rest.problems import problem

#: Paths that need no token.
PUBLIC = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json"})


class RestManners:
    """See :class:`secrets_svc.edges.gate.gate.Manners`.

    :param authenticator: knows the callers.
    """

    edge = None

    def __init__(self, authenticator: TokenAuthenticator) -> None:
        self._authenticator = authenticator

    def is_open(self, path: str) -> bool:
        """Probes, metrics and the description are for all."""
        return path in PUBLIC

    def authenticate(self, scope: Scope) -> Principal:
        """By one ``Authorization`` header."""
        return self._authenticator.authenticate(one_credential(scope["headers"], b"authorization"))

    def has_body(self, scope: Scope) -> bool:
        """What writes has one, in JSON."""
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            return False
        if media_type(scope["headers"]) != b"application/json":
            raise InvalidArgument("the body must be JSON: send content-type: application/json")
        return True

    def refusal(
        self,
        error: SecretsError,
        *,
        request_id: str,
        scope: Scope,  # noqa: ARG002  # one answer for all requests
    ) -> Sequence[Message]:
        """A problem document."""
        status, headers, body = problem(error, request_id=request_id)
        headers |= {"content-length": str(len(body)), "connection": "close"}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        return (
            {"type": "http.response.start", "status": status, "headers": encoded},
            {"type": "http.response.body", "body": body},
        )
