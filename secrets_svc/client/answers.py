"""What the server answers, checked before anybody believes it.

Every answer is hostile: it may come from a proxy, a wrong port or a newer server. Nothing here raises
anything but :class:`SecretsError`, and of an answer's text only a problem document's ``detail`` is passed on.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from secrets_svc.core.errors import InvalidArgument, SecretsError, Unavailable, by_code
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType

if TYPE_CHECKING:
    from secrets_svc.client.wire import Answer
    from secrets_svc.core.abilities import VersionInfo

_MAX_DETAIL = 2000
_MAX_TEXT = 4096


class Problem(Exception):
    """The problem document behind an error: the error's ``__cause__``.

    :param request_id: by which the server's log and audit file know the call.
    """

    def __init__(self, status: int, request_id: str | None) -> None:
        super().__init__(status, request_id)
        self.status = status
        self.request_id = request_id


class Step(NamedTuple):
    """One scope of ``explain``; ``outcome`` is ``hit``, ``shadowed``, ``absent``, or ``hidden`` from us."""

    level: str
    scope: str
    outcome: str
    store: str
    version: str | None
    type: str | None
    updated_at: datetime | None
    read_only: bool = False


class Winner(NamedTuple):
    """What a task would get; ``metadata`` is ``None`` where we may not get it."""

    ref: SecretRef
    metadata: SecretMetadata | None


class Explanation(NamedTuple):
    """Which scope wins for a name, and what was looked at on the way, narrowest first."""

    name: str
    organization: str
    domain: str | None
    project: str | None
    winner: Winner | None
    steps: tuple[Step, ...]


class Identity(NamedTuple):
    """Whom the server takes the caller for; ``bindings`` are pairs of role and scope, in words."""

    principal: str
    organization: str
    bindings: tuple[tuple[str, str], ...]


class _Mismatch(Exception):
    """An answer isn't of the shape it should have."""


def printable(text: str) -> str:
    """``text`` without control, format and other unprintable characters; line breaks become spaces."""
    return "".join(c for c in " ".join(text.splitlines()) if c.isprintable())


def document(answer: Answer, server: str) -> dict[str, Any]:
    """The JSON object of a good answer.

    :param server: what to call the other side in a message.
    :raises SecretsError: of the code that the problem document names; ``Unavailable`` if it isn't our server.
    """
    if answer.status >= 400:
        raise _error(answer, server)
    if 300 <= answer.status < 400:
        raise Unavailable(f"{server} sends us on to another address, which is not followed: name that one")
    found = _object(answer, "application/json")
    if found is None:
        raise not_ours(server, answer.status)
    return found


def not_ours(server: str, status: int | None = None) -> Unavailable:
    """The error for whatever is no answer of a secrets-svc server."""
    seen = f" (status {status})" if status is not None else ""
    return Unavailable(f"{server} did not answer as a secrets-svc server{seen}")


def _object(answer: Answer, media_type: str) -> dict[str, Any] | None:
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        return None
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _error(answer: Answer, server: str) -> SecretsError:
    found = _object(answer, "application/problem+json")
    if found is None or not isinstance(found.get("code"), str) or not isinstance(found.get("detail"), str):
        return not_ours(server, answer.status)
    detail = printable(found["detail"][:_MAX_DETAIL])
    fallback = InvalidArgument if answer.status < 500 else Unavailable  # a code of a newer server
    error = by_code().get(found["code"], fallback)(detail, retry_after=retry_after(answer))
    request_id = found.get("request_id")
    error.__cause__ = Problem(
        answer.status, printable(request_id[:128]) if isinstance(request_id, str) else None
    )
    return error


def retry_after(answer: Answer) -> float | None:
    """Seconds that the server asks us to wait; dates are not understood."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def metadata(found: object, server: str) -> SecretMetadata:
    """A secret's metadata."""
    try:
        return _metadata(found)
    except (_Mismatch, InvalidArgument):
        raise not_ours(server) from None


def page(found: dict[str, Any], server: str) -> tuple[tuple[SecretMetadata, ...], str | None]:
    """Items and the next cursor of a listing."""
    items = found.get("items")
    if not isinstance(items, list):
        raise not_ours(server)
    try:
        cursor = _optional_text(found, "next_cursor")
        if cursor is not None and not (cursor and cursor.isascii()):
            raise _Mismatch
        return tuple(_metadata(item) for item in items), cursor
    except (_Mismatch, InvalidArgument):
        raise not_ours(server) from None


def explanation(found: dict[str, Any], server: str) -> Explanation:
    """What ``explain`` answers."""
    try:
        steps = found.get("steps")
        if not isinstance(steps, list):
            raise _Mismatch
        winner = found.get("winner")
        return Explanation(
            name=_text(found, "name"),
            organization=_text(found, "organization"),
            domain=_optional_text(found, "domain"),
            project=_optional_text(found, "project"),
            winner=None if winner is None else _winner(winner),
            steps=tuple(_step(step) for step in steps),
        )
    except (_Mismatch, InvalidArgument):
        raise not_ours(server) from None


def history(found: dict[str, Any], server: str) -> tuple[VersionInfo, ...]:
    """The versions of a secret."""
    from secrets_svc.core.abilities import VersionInfo

    try:
        items = found.get("items")
        if not isinstance(items, list):
            raise _Mismatch
        entries = [_mapping(item) for item in items]
        return tuple(
            VersionInfo(
                version=_text(entry, "version"),
                created_at=_time(entry, "created_at"),
                created_by=_optional_text(entry, "created_by"),
                current=entry.get("current") is True,
                readable=entry.get("readable") is not False,
                size=_size(entry),
            )
            for entry in entries
        )
    except (_Mismatch, InvalidArgument):
        raise not_ours(server) from None


def identity(found: dict[str, Any], server: str) -> Identity:
    """What ``whoami`` answers."""
    try:
        bindings = found.get("bindings")
        if not isinstance(bindings, list):
            raise _Mismatch
        pairs = tuple((_text(_mapping(b), "role"), _text(_mapping(b), "scope")) for b in bindings)
        return Identity(_text(found, "principal"), Scope(_text(found, "organization")).organization, pairs)
    except (_Mismatch, InvalidArgument):
        raise not_ours(server) from None


def _step(found: object) -> Step:
    step = _mapping(found)
    return Step(
        level=_text(step, "level"),
        scope=_text(step, "scope"),
        outcome=_text(step, "outcome"),
        store=_text(step, "store"),
        version=_optional_text(step, "version"),
        type=_optional_text(step, "type"),
        updated_at=None if step.get("updated_at") is None else _time(step, "updated_at"),
        read_only=step.get("read_only") is True,
    )


def _winner(found: object) -> Winner:
    entry = _mapping(found)
    return Winner(_ref(entry), None if entry.get("version") is None else _metadata(entry))


def _ref(entry: dict[str, Any]) -> SecretRef:
    scope = Scope(
        _text(entry, "organization"),
        domain=_optional_text(entry, "domain"),
        project=_optional_text(entry, "project"),
    )
    return SecretRef(scope, _text(entry, "name"))


def _size(entry: dict[str, Any]) -> int | None:
    size = entry.get("size")
    if size is not None and (type(size) is not int or size < 0):
        raise _Mismatch
    return size


def _metadata(found: object) -> SecretMetadata:
    entry = _mapping(found)
    return SecretMetadata(
        ref=_ref(entry),
        type=SecretType.parse(_text(entry, "type")),
        version=_text(entry, "version"),
        created_at=_time(entry, "created_at"),
        updated_at=_time(entry, "updated_at"),
        created_by=_text(entry, "created_by"),
        updated_by=_text(entry, "updated_by"),
        size=_size(entry),
        read_only=entry.get("read_only") is True,
    )


def _mapping(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise _Mismatch
    return found


def _text(entry: dict[str, Any], key: str) -> str:
    text = entry.get(key)
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise _Mismatch
    return text


def _optional_text(entry: dict[str, Any], key: str) -> str | None:
    return None if entry.get(key) is None else _text(entry, key)


def _time(entry: dict[str, Any], key: str) -> datetime:
    try:
        at = datetime.fromisoformat(_text(entry, key))
        if at.tzinfo is None:
            raise _Mismatch
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Mismatch from None
