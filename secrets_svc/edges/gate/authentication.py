"""Who calls: bearer tokens (RFC 6750), compared by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from secrets_svc.core.errors import Unauthenticated
from secrets_svc.core.policy import Principal
from secrets_svc.core.value import SecretValue


class TokenAuthenticator:
    """Knows principals by the SHA-256 of their tokens.

    :param tokens: token to principal; the tokens themselves are not kept. Tokens hold 256 bits of chance,
        so that a look-up by digest tells nothing by its timing.
    """

    def __init__(self, tokens: Mapping[str, SecretValue]) -> None:
        self._principals = {
            hashlib.sha256(token.reveal_bytes()).digest(): Principal(name) for name, token in tokens.items()
        }

    def authenticate(self, authorization: bytes | None) -> Principal:
        """The principal of an ``Authorization`` header's value.

        :raises Unauthenticated: there is none, it isn't a bearer token, or nobody has it.
        """
        if not authorization:
            raise Unauthenticated('no credentials: send "Authorization: Bearer TOKEN"')
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthenticated("only bearer tokens are taken")
        principal = self._principals.get(hashlib.sha256(token.strip()).digest())
        if principal is None:
            raise Unauthenticated("that token is not known here")
        return principal


def one_credential(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of header ``name``, ``None`` without one. Raises ``Unauthenticated`` if it is there twice."""
    given = [value for key, value in headers if key == name]
    if len(given) > 1:
        raise Unauthenticated("credentials are given twice")
    return given[0] if given else None
