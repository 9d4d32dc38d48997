"""Pages of a listing: tokens that hold for their listing only, in both places where clients look."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope

#: Secrets a page: where the client doesn't say, and at most.
_USUAL, _MOST = 100, 1000
#: Characters.
_MAX_TOKEN = 2048


def limit_of(asked: int) -> int:
    """How many secrets a page may have. Raises ``InvalidArgument`` for fewer than none."""
    if asked < 0:
        raise InvalidArgument("limit must not be negative")
    return min(asked, _MOST) or _USUAL


def cursor_of(token: str, by_cluster: Mapping[str, str], cluster: str, listing: str) -> str | None:
    """Where to go on: the control plane's cursor; ``None`` for the beginning.

    :param token: for clients that know one. :param by_cluster: for those that keep one for each cluster.
    :param listing: see :func:`listing_id`.
    :raises InvalidArgument: the two differ, or this listing gave no such token.
    """
    given = {each for each in (token, *by_cluster.values()) if each}
    if any(name != cluster and each for name, each in by_cluster.items()) or len(given) > 1:
        raise InvalidArgument(
            f'token and per_cluster_tokens must say the same, and the only cluster is "{cluster}"'
        )
    if not given:
        return None
    [one] = given
    of, dot, cursor = one.partition(".")
    if not dot or of != listing or not cursor or len(one) > _MAX_TOKEN:
        raise InvalidArgument("the token is not one that this listing gave")
    return cursor


def token_of(cursor: str | None, listing: str) -> str:
    """What to send next time; empty at the end."""
    return "" if cursor is None else f"{listing}.{cursor}"


def listing_id(within: Scope, *, exact: bool) -> str:
    """Tells listings apart, so that a token of one is refused in another."""
    parts = (within.organization, within.domain or "", within.project or "", str(exact))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
