"""Lists in the order of names. AWS lists by the time of creation, and its tokens for the next page are of one
listing; so each page of ours lists all whose names begin alike, a hundred a call, and keeps what it needs.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.calls import Calls
from secrets_svc.backends.aws.held import Held
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.naming import MAX_STORAGE_NAME, parse_storage_name
from secrets_svc.core.ports import Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef

_log = logging.getLogger(__name__)


def check_limit(limit: int) -> None:
    """Raise :class:`InvalidArgument` unless it is 1 to 1000."""
    if not 1 <= limit <= 1000:
        raise InvalidArgument("limit is not valid: 1 to 1000")


def position(cursor: str | None) -> str:
    """The storage name that ``cursor`` stands behind; "" for the beginning.

    :raises InvalidArgument: it isn't ours.
    """
    if cursor is None:
        return ""
    try:
        name = bytes.fromhex(cursor).decode("ascii") if len(cursor) <= 2 * MAX_STORAGE_NAME else ""
        parse_storage_name(name)
    except ValueError:
        name = ""
    except InvalidArgument:
        name = ""
    if not name or name.encode().hex() != cursor:
        raise InvalidArgument("cursor is not valid: give back the one of the page before")
    return name


def page(
    calls: Calls, prefix: str, within: Scope, *, exact: bool, limit: int, cursor: str | None
) -> Page[SecretMetadata]:
    """See :meth:`secrets_svc.core.ports.SecretWriter.list`."""
    check_limit(limit)
    after = position(cursor)
    found = {
        name: metadata for name, metadata in _secrets(calls, prefix, within, exact=exact) if name > after
    }
    first = heapq.nsmallest(limit + 1, found)
    shown = first[:limit]
    cursor = shown[-1].encode().hex() if len(first) > limit else None
    return Page(tuple(found[name] for name in shown), cursor)


def _secrets(
    calls: Calls, prefix: str, within: Scope, *, exact: bool
) -> Iterator[tuple[str, SecretMetadata]]:
    """Storage names, and what they hold."""
    for item in calls.listed(names.name_prefix(prefix, within, exact=exact)):
        name = item.get("Name")
        ref = _ref(name[len(prefix) :]) if isinstance(name, str) and name.startswith(prefix) else None
        if ref is None or not (ref.scope == within if exact else within.covers(ref.scope)):
            continue
        try:
            held = Held.of(item, ref, str(name))
            if held.is_there:
                yield str(name)[len(prefix) :], held.metadata()
        except Unavailable as error:
            _log.warning("not listed: %s", error)


def _ref(storage_name: str) -> SecretRef | None:
    try:
        return parse_storage_name(storage_name)
    except InvalidArgument:
        return None
