"""How tokens are asked for: HTTP Basic, and a form."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from urllib.parse import unquote_plus

from secrets_svc.core.errors import InvalidArgument, SecretsError, Unauthenticated, Unsupported
from secrets_svc.core.policy import Principal
from secrets_svc.edges.gate.authentication import TokenAuthenticator, one_credential
from secrets_svc.edges.gate.bodies import Message, media_type
from secrets_svc.edges.gate.gate import Scope
from secrets_svc.edges.oauth.refusals import refusal

FORM = b"application/x-www-form-urlencoded"


class TokenManners:
    """See :class:`secrets_svc.edges.gate.gate.Manners`. A client is a principal, its secret that one's token.

    :param authenticator: knows them.
    """

    edge = "oauth"

    def __init__(self, authenticator: TokenAuthenticator) -> None:
        self._authenticator = authenticator

    def is_open(self, path: str) -> bool:  # noqa: ARG002  # there is one
        """Nothing is."""
        return False

    def authenticate(self, scope: Scope) -> Principal:
        """By HTTP Basic, both parts encoded as in a form (RFC 6749 section 2.3.1)."""
        given = one_credential(scope["headers"], b"authorization")
        for name, secret in _readings(given or b""):
            principal = self._authenticator.client(name, secret)
            if principal is not None:
                return principal
        raise Unauthenticated(
            "a client shows itself by HTTP Basic: its id is a principal's name, its secret that one's token"
        )

    def has_body(self, scope: Scope) -> bool:
        """A form."""
        if scope["method"] != "POST":
            raise Unsupported("tokens are asked for by POST")
        if media_type(scope["headers"]) != FORM:
            raise InvalidArgument(f"the content-type must be {FORM.decode()}")
        return True

    def refusal(
        self,
        error: SecretsError,
        *,
        request_id: str,
        scope: Scope,  # noqa: ARG002  # one answer for all requests
    ) -> Sequence[Message]:
        """As OAuth has it."""
        return refusal(error, request_id=request_id)


def _readings(authorization: bytes) -> list[tuple[str, bytes]]:
    """Client id and secret, decoded as the RFC wants it, and as they are: not all clients encode both."""
    scheme, _, credentials = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return []
    try:
        plain = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return []
    # A client that doesn't encode the name may have a colon in it; none is in an encoded secret.
    pairs = dict.fromkeys((plain.partition(":"), plain.rpartition(":")))
    return [
        (each, other.encode(errors="replace"))
        for name, colon, secret in pairs
        if colon
        for each in dict.fromkeys((unquote_plus(name), name))
        for other in dict.fromkeys((unquote_plus(secret), secret))
    ]
