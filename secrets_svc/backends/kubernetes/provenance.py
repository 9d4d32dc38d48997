"""Who wrote a value last, and which data keys there are, from what the API server itself keeps account of.

``metadata.managedFields`` (kubernetes.io/docs/reference/using-api/server-side-apply, "Field management")
names each field with who changed it last. It tells data keys without their values, so also to whoever asks
for metadata alone; and it tells whether our annotations speak of the value that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from secrets_svc.backends.kubernetes.names import MANAGER
from secrets_svc.kube.api import Object


@dataclass(frozen=True, slots=True)
class Outsider:
    """Somebody else who wrote the value.

    :param name: as it calls itself, e.g. ``kubectl-edit``; "" where nobody knows. :param at: to the second.
    """

    name: str = ""
    at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.name or 'somebody'} (outside this service)"


@dataclass(frozen=True, slots=True)
class _Entry:
    manager: str
    at: datetime | None
    keys: frozenset[str]
    immutable: bool


def may_be_immutable(object_: Object) -> bool:
    """Whether somebody set the field ``immutable``. The server tells that, but not to what."""
    return any(entry.immutable for entry in _entries(object_))


def data_keys(object_: Object) -> frozenset[str]:
    """Data keys that the server tells of; none where somebody had it forget."""
    return frozenset().union(*(entry.keys for entry in _entries(object_)))


def outsider(object_: Object, key: str) -> Outsider | None:
    """Who wrote data key ``key`` since our writer did; ``None`` where nobody has.

    A value that is written again as it is stays its first writer's. What was written within one second of
    each other counts as the outsider's.
    """
    entries = list(_entries(object_))
    owners = [entry for entry in entries if key in entry.keys]
    if not owners:
        return Outsider()
    others = [owner for owner in owners if owner.manager != MANAGER]
    if not others:
        return None
    ours = [entry.at for entry in entries if entry.manager == MANAGER and entry.at is not None]
    for other in others:
        if not ours or other.at is None or max(ours) <= other.at:
            return Outsider(other.manager, other.at)
    return None


def last_change(object_: Object) -> str:
    """When anybody changed anything, as seconds since 1970; "" where nobody knows."""
    times = [entry.at for entry in _entries(object_) if entry.at is not None]
    return str(int(max(times).timestamp())) if times else ""


def _entries(object_: Object) -> Iterator[_Entry]:
    metadata = object_.get("metadata")
    managed = metadata.get("managedFields") if isinstance(metadata, dict) else None
    for entry in managed if isinstance(managed, list) else ():
        if isinstance(entry, dict):
            manager = entry.get("manager")
            name = manager if isinstance(manager, str) and manager.isprintable() else ""
            fields = entry.get("fieldsV1")
            immutable = isinstance(fields, dict) and "f:immutable" in fields
            yield _Entry(name, moment(entry.get("time")), _keys(fields), immutable)


def _keys(fields: Any) -> frozenset[str]:
    data = fields.get("f:data") if isinstance(fields, dict) else None
    if not isinstance(data, dict):
        return frozenset()
    return frozenset(name[2:] for name in data if isinstance(name, str) and name.startswith("f:"))


def moment(text: object) -> datetime | None:
    """An RFC 3339 time with its zone; ``None`` for anything else."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found
