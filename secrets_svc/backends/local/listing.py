"""Listing: which rows a scope covers, in the order of their storage names, from where a cursor says.

Storage names begin with the scope's parts, so all of an organization, of a domain, and of exactly one scope
are ranges of the primary key; a project in all its domains has an index. A page costs the same at any size.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from secrets_svc.backends.local.records import COLUMNS, project_key
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.naming import MAX_STORAGE_NAME, parse_storage_name, storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

MAX_LIMIT = 1000
_CURSOR_FORM = b"1"
_AFTER_UNDERSCORE = "`"

IN_RANGE = (
    f"SELECT {COLUMNS} FROM secrets "  # noqa: S608  # constants only
    "WHERE storage_name > ? AND storage_name < ? ORDER BY storage_name LIMIT ?"
)
OF_PROJECT = (
    f"SELECT {COLUMNS} FROM secrets "  # noqa: S608  # constants only
    "WHERE project_key = ? AND storage_name > ? ORDER BY storage_name LIMIT ?"
)


def check_limit(limit: int) -> None:
    """:raises InvalidArgument: not 1 to 1000."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgument(f"limit is not valid: 1 to {MAX_LIMIT}")


def query(within: Scope, *, exact: bool, after: str, limit: int) -> tuple[str, tuple[Any, ...]]:
    """The statement, and its parameters, for at most ``limit`` rows behind the storage name ``after``."""
    if not exact and within.project is not None and within.domain is None:
        return OF_PROJECT, (project_key(within), after, limit)
    prefix = _prefix(within, exact=exact)
    end = prefix[:-1] + _AFTER_UNDERSCORE
    return IN_RANGE, (max(after, prefix), end, limit)


def _prefix(within: Scope, *, exact: bool) -> str:
    """What the storage names of all that ``within`` covers begin with; it ends in ``_``."""
    separator = "__key__"
    if not exact and within.project is None:
        separator = "__domain__" if within.domain is None else "__project__"
    head, found, _ = storage_name(SecretRef(within, "x")).partition(separator)
    return head + found


def cursor_after(name: str) -> str:
    """The cursor of a page that ends with the storage name ``name``."""
    return base64.urlsafe_b64encode(_CURSOR_FORM + name.encode()).rstrip(b"=").decode()


def position(cursor: str | None, within: Scope, *, exact: bool) -> str:
    """The storage name behind which the page begins.

    :raises InvalidArgument: the cursor isn't ours, or is from another listing.
    """
    if cursor is None:
        return ""
    name = _decoded(cursor)
    scope = parse_storage_name(name).scope
    if cursor != cursor_after(name) or not (scope == within if exact else within.covers(scope)):
        raise _not_ours()
    return name


def _decoded(cursor: str) -> str:
    if len(cursor) > 2 * MAX_STORAGE_NAME:
        raise _not_ours()
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
        if text[:1] == _CURSOR_FORM.decode():
            parse_storage_name(text[1:])
            return text[1:]
    except (ValueError, binascii.Error, InvalidArgument):
        pass
    raise _not_ours()


def _not_ours() -> InvalidArgument:
    return InvalidArgument("cursor is not valid: give back the one of the page before, with the same filter")
