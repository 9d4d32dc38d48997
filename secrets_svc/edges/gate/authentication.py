"""Who calls: bearer tokens (RFC 6750), compared by digest, and access tokens made from them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping

from secrets_svc.core.errors import Unauthenticated
from secrets_svc.core.policy import Principal
from secrets_svc.core.value import SecretValue
from secrets_svc.edges.gate.access_tokens import PREFIX, AccessTokens, derived_key


class TokenAuthenticator:
    """Knows principals by the SHA-256 of their tokens.

    :param tokens: by principal; the tokens themselves are not kept. Tokens hold 256 bits of chance, so that a
        look-up by digest tells nothing by its timing.
    :param clock: seconds since the epoch.
    """

    def __init__(self, tokens: Mapping[str, SecretValue], *, clock: Callable[[], float] = time.time) -> None:
        self._principals = {
            hashlib.sha256(token.reveal_bytes()).digest(): Principal(name) for name, token in tokens.items()
        }
        keys = {name: derived_key(token.reveal_bytes()) for name, token in tokens.items()}
        self._access_tokens = AccessTokens(keys, clock=clock)

    def authenticate(self, authorization: bytes | None) -> Principal:
        """The principal of an ``Authorization`` header's value.

        :raises Unauthenticated: there is none, it isn't a bearer token, or nobody has it.
        """
        if not authorization:
            raise Unauthenticated('no credentials: send "Authorization: Bearer TOKEN"')
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthenticated("only bearer tokens are taken")
        token = token.strip()
        principal = self._known(token)
        if principal is None and token.startswith(PREFIX):
            return self._access_tokens.principal_of(token)
        if principal is None:
            raise Unauthenticated("that token is not known here")
        return principal

    def client(self, name: str, token: bytes) -> Principal | None:
        """The principal of that name, if ``token`` is its own; an access token isn't."""
        principal = self._known(token)
        return principal if principal is not None and principal.name == name else None

    def access_token(self, principal: Principal, lifetime: int) -> str:
        """A token that stands for ``principal`` for ``lifetime`` seconds."""
        return self._access_tokens.issue(principal, lifetime)

    def _known(self, token: bytes) -> Principal | None:
        return self._principals.get(hashlib.sha256(token).digest())


def one_credential(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of header ``name``, ``None`` without one. Raises ``Unauthenticated`` if it is there twice."""
    given = [value for key, value in headers if key == name]
    if len(given) > 1:
        raise Unauthenticated("credentials are given twice")
    return given[0] if given else None
