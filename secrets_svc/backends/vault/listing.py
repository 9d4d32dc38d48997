"""Lists: level by level, in the order of paths. Our cursor is the path of the last secret that was shown."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator

from secrets_svc.backends.vault.kv import Kv
from secrets_svc.backends.vault.paths import NONE
from secrets_svc.core.errors import InvalidArgument, Spoilt
from secrets_svc.core.ports import Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata

_Parts = tuple[str, str, str]
_LEVELS = 3

_log = logging.getLogger(__name__)


def check_limit(limit: int) -> None:
    """Raise :class:`InvalidArgument` unless it is 1 to 1000."""
    if not 1 <= limit <= 1000:
        raise InvalidArgument("limit is not valid: 1 to 1000")


def page(kv: Kv, within: Scope, *, exact: bool, limit: int, cursor: str | None) -> Page[SecretMetadata]:
    """See :meth:`secrets_svc.core.ports.SecretWriter.list`."""
    check_limit(limit)
    after = _position(cursor)
    items: list[SecretMetadata] = []
    last: _Parts = ("", "", "")
    for parts in _secrets(kv, within, exact=exact, after=after):
        metadata = _metadata(kv, within.organization, parts)
        if metadata is None:
            continue
        if len(items) == limit:
            return Page(tuple(items), _cursor(last))
        items.append(metadata)
        last = parts
    return Page(tuple(items))


def _cursor(parts: _Parts) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _position(cursor: str | None) -> _Parts | None:
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        assert isinstance(parts, list)
        assert len(parts) == _LEVELS
        assert all(isinstance(part, str) for part in parts)
    except (ValueError, AssertionError):
        raise InvalidArgument("cursor is not valid: give back the one of the page before") from None
    return parts[0], parts[1], parts[2]


def _secrets(kv: Kv, within: Scope, *, exact: bool, after: _Parts | None) -> Iterator[_Parts]:
    """Domain, project and name of what may be secrets behind ``after``."""
    fixed = (within.domain, within.project)
    chosen = [part if part is not None else (NONE if exact else None) for part in fixed]
    base = (within.organization,)
    for domain in _folders(kv, base, chosen[0], after and after[0]):
        behind = after if after is not None and domain == after[0] else None
        for project in _folders(kv, (*base, domain), chosen[1], behind and behind[1]):
            last = behind[2] if behind is not None and project == behind[1] else None
            for name in kv.list(kv.paths.folder(*base, domain, project)):
                if not name.endswith("/") and (last is None or name > last):
                    yield domain, project, name


def _folders(kv: Kv, above: tuple[str, ...], chosen: str | None, start: str | None) -> list[str]:
    """Folders that aren't before ``start``; the chosen one only, where one is chosen."""
    if chosen is not None:
        return [chosen] if start is None or chosen >= start else []
    names = [name[:-1] for name in kv.list(kv.paths.folder(*above)) if name.endswith("/")]
    return sorted(name for name in names if start is None or name >= start)


def _metadata(kv: Kv, organization: str, parts: _Parts) -> SecretMetadata | None:
    ref = kv.paths.ref_of((organization, *parts))
    if ref is None:
        return None
    found = kv.look(kv.paths.secret(ref))
    if found is None or not found.is_there:
        return None
    try:
        return found.metadata(ref)
    except Spoilt as error:
        _log.warning("not listed: %s", error)
        return None
