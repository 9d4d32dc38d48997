"""Audit events: one for each call and each admission decision, never with a value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef


@dataclass(frozen=True, slots=True)
class AuditSecret:
    """A secret as an event names it.

    :param scope: where it was found, or asked for; ``None`` where nothing was found.
    """

    name: str
    scope: Scope | None = None
    version: str | None = None
    store: str | None = None

    @classmethod
    def of(cls, ref: SecretRef, *, version: str | None = None, store: str | None = None) -> AuditSecret:
        """For a full reference."""
        return cls(ref.name, ref.scope, version, store)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What happened.

    :param surface: ``api``, ``admission``, ``run`` or ``keys``.
    :param action: the verb, e.g. ``create``, ``admit``, ``read``.
    :param actor: the principal, or the user name in the admission request.
    :param outcome: ``ok`` or the code of the error.
    :param request_id: of the API call, or the admission request's uid.
    :param detail: further facts, such as namespace and pod; JSON types only.
    """

    surface: str
    action: str
    actor: str
    outcome: str
    request_id: str
    secrets: tuple[AuditSecret, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_json(self) -> bytes:
        """One line of JSON, ending in a newline."""
        entry: dict[str, Any] = {
            "at": self.at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "surface": self.surface,
            "action": self.action,
            "actor": self.actor,
            "outcome": self.outcome,
            "request_id": self.request_id,
            **self.detail,
        }
        text = _encode(entry)
        if self.secrets:
            text = f'{text[:-1]},"secrets":{_secrets_text(self.secrets)}}}'
        return text.encode() + b"\n"


_encode = json.JSONEncoder(separators=(",", ":")).encode


@lru_cache(maxsize=4096)
def _secrets_text(secrets: tuple[AuditSecret, ...]) -> str:
    return _encode([_secret_entry(secret) for secret in secrets])


def _secret_entry(secret: AuditSecret) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": secret.name}
    if secret.scope is not None:
        parts = {
            "organization": secret.scope.organization,
            "domain": secret.scope.domain,
            "project": secret.scope.project,
        }
        entry.update({key: value for key, value in parts.items() if value is not None})
    for key, value in (("version", secret.version), ("store", secret.store)):
        if value is not None:
            entry[key] = value
    return entry


class AuditSink(Protocol):
    """Takes events."""

    def record(self, event: AuditEvent) -> None:
        """Keep ``event``; it survives the death of the process once this returns.

        :raises Unavailable: it could not be kept: what it is about must be refused (I5).
        """
