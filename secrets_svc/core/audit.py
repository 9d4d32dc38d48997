"""Audit events: one for each call and each admission decision, never with a value."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef


@dataclass(frozen=True, slots=True)
class AuditSecret:
    """A secret as an event names it.

    :param scope: where it was found, or asked for; ``None`` where nothing was found.
    :param field: what of its value was given, where that isn't all of it.
    """

    name: str
    scope: Scope | None = None
    version: str | None = None
    store: str | None = None
    field: str | None = None

    @classmethod
    def of(
        cls,
        ref: SecretRef,
        *,
        version: str | None = None,
        store: str | None = None,
        field: str | None = None,
    ) -> AuditSecret:
        """For a full reference."""
        return cls(ref.name, ref.scope, version, store, field)


@dataclass(slots=True)
class AuditEvent:
    """What happened.

    :param surface: ``api``, ``admission``, ``run``, ``keys``, ``copy`` or ``import``.
    :param action: the verb, e.g. ``create``, ``admit``, ``read``.
    :param actor: the principal, or the user name in the admission request.
    :param outcome: ``ok`` or the code of the error; ``begun`` before a write of an ``import``.
    :param request_id: of the API call, or the admission request's uid.
    :param detail: further facts, such as namespace and pod; JSON types only.
    :param at: seconds since the epoch.
    """

    surface: str
    action: str
    actor: str
    outcome: str
    request_id: str
    secrets: tuple[AuditSecret, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)

    def to_json(self) -> bytes:
        """One line of JSON, ending in a newline. Every admission makes one: it is put together by hand."""
        detail = "".join([f",{_quoted(key)}:{_text(value)}" for key, value in self.detail.items()])
        secrets = f',"secrets":{_secrets_text(self.secrets)}' if self.secrets else ""
        return (
            f'{{"at":"{rfc3339(self.at)}","surface":{_quoted(self.surface)},"action":{_quoted(self.action)},'
            f'"actor":{_quoted(self.actor)},"outcome":{_quoted(self.outcome)},'
            f'"request_id":{_quoted(self.request_id)}{detail}{secrets}}}\n'
        ).encode()


def rfc3339(at: float) -> str:
    """UTC with microseconds, as RFC 3339 has it."""
    second = int(at)
    return f"{_to_the_second(second)}.{int((at - second) * 1e6):06d}Z"


@lru_cache(maxsize=8)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_quoted = json.encoder.encode_basestring_ascii
_encode = json.JSONEncoder(separators=(",", ":")).encode


def _text(value: Any) -> str:
    return _quoted(value) if type(value) is str else _encode(value)


def _secrets_text(secrets: tuple[AuditSecret, ...]) -> str:
    known = _TEXTS.get(secrets)
    if known is None:
        text = _encode([_secret_entry(secret) for secret in secrets])
        known = _TEXTS.put(secrets, text, len(secrets))
    return known


#: By the secrets of an event, weighed by their number.
_TEXTS: WeightedCache[tuple[AuditSecret, ...], str] = WeightedCache(8192)


def _secret_entry(secret: AuditSecret) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": secret.name}
    if secret.scope is not None:
        parts = {
            "organization": secret.scope.organization,
            "domain": secret.scope.domain,
            "project": secret.scope.project,
        }
        entry.update({key: value for key, value in parts.items() if value is not None})
    for key, value in (("version", secret.version), ("store", secret.store), ("field", secret.field)):
        if value is not None:
            entry[key] = value
    return entry


class AuditSink(Protocol):
    """Takes events. Implementations inherit :meth:`record`."""

    def record(self, event: AuditEvent) -> None:
        """:meth:`record_all` with one."""
        self.record_all((event,))

    @abstractmethod
    def record_all(self, events: Sequence[AuditEvent]) -> None:
        """Keep ``events``; they survive the death of the process once this returns.

        :raises Unavailable: they could not be kept: what they are about must be refused (I5).
        """
