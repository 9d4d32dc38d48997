"""Access tokens: short-lived, made and known without a store, dead when their principal's token is replaced.

A token is ``ssat1.PAYLOAD.MAC``: who, until when, and an HMAC (RFC 2104) of that under a key derived from the
principal's own token, so that every replica knows it and nobody keeps it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable, Mapping

from secrets_svc.core.errors import Unauthenticated
from secrets_svc.core.policy import Principal

PREFIX = b"ssat1."
#: What a key is derived for; a key for anything else would be another one.
_PURPOSE = b"secrets-svc access tokens 1"
#: Bytes. Longer ones are not ours: a principal's name has 128 characters at most.
_MAX = 2048


def derived_key(token: bytes) -> bytes:
    """The key of the access tokens of whoever has ``token``, which can't be had from it."""
    return hmac.digest(token, _PURPOSE, "sha256")


class AccessTokens:
    """Makes access tokens, and knows them again.

    :param keys: by principal. :param clock: seconds since the epoch.
    """

    def __init__(self, keys: Mapping[str, bytes], *, clock: Callable[[], float] = time.time) -> None:
        self._keys = dict(keys)
        self._clock = clock

    def issue(self, principal: Principal, lifetime: int) -> str:
        """A token for ``principal``.

        :param lifetime: seconds.
        """
        claims = {"principal": principal.name, "until": int(self._clock()) + lifetime}
        signed = PREFIX + _encoded(json.dumps(claims, separators=(",", ":")).encode())
        return (signed + b"." + _encoded(self._mac(principal.name, signed))).decode()

    def principal_of(self, token: bytes) -> Principal:
        """Whose ``token`` is. Raises ``Unauthenticated``: it isn't ours, or its time is over."""
        try:
            name, until, signed, mac = _parts(token)
            is_ours = hmac.compare_digest(self._mac(name, signed), mac)
        except (ValueError, KeyError, TypeError, RecursionError):
            is_ours = False
        if not is_ours:
            raise Unauthenticated("that token is not known here")
        if until <= self._clock():
            raise Unauthenticated("that access token has run out: ask for another")
        return Principal(name)

    def _mac(self, principal: str, signed: bytes) -> bytes:
        return hmac.digest(self._keys[principal], signed, "sha256")


def _parts(token: bytes) -> tuple[str, int, bytes, bytes]:
    signed, dot, mac = token.rpartition(b".")
    if not dot or not signed.startswith(PREFIX) or len(token) > _MAX:
        raise ValueError
    claims = json.loads(_decoded(signed.removeprefix(PREFIX)))
    name, until = claims["principal"], claims["until"]
    if type(name) is not str or type(until) is not int:
        raise ValueError
    return name, until, signed, _decoded(mac)


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError from None
