"""What an author provides, and what the parts of the suite share."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Protocol

from secrets_svc.core.errors import Changed, NotFound
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

ACTOR = "contract-suite"
#: Seconds within which an eventually consistent store must show a write.
EVENTUALLY = 30.0


class BackendHarness(Protocol):
    """One store, and ways to open it. It need not be empty: tests keep to organizations of their own."""

    @property
    def capabilities(self) -> Capabilities:
        """As the backend declares them."""

    def writer(self) -> SecretWriter:
        """Another writer, independent of those before. The harness closes it at its end."""

    def reader(self) -> SecretReader:
        """Another reader. The harness closes it at its end."""

    def reopen(self) -> None:
        """Close all of them, as the end of the process would; the next ones open the store anew."""


def some_scope() -> Scope:
    """A project in a domain, of an organization that no other test uses."""
    return Scope(f"c{secrets.token_hex(6)}", "production", "shop")


def some_ref(name: str = "db-password") -> SecretRef:
    """A reference that no other test uses."""
    return SecretRef(some_scope(), name)


def levels(scope: Scope) -> tuple[Scope, ...]:
    """A scope of each level, and one beside each."""
    organization = scope.organization
    return (
        *(scope, Scope(organization, project="shop"), Scope(organization, domain="production")),
        *(
            Scope(organization),
            Scope(organization, "staging", "shop"),
            Scope(organization, "production", "bank"),
        ),
        *(Scope(organization, project="bank"), Scope(organization, domain="staging")),
        Scope(f"{organization}-2", "production", "shop"),
    )


def operation_id() -> str:
    """A new intent."""
    return secrets.token_hex(16)


def create(
    writer: SecretWriter, ref: SecretRef, data: bytes = b"value", type: SecretType = SecretType.GENERIC
) -> SecretMetadata:
    """Create ``ref``, as an intent of its own."""
    return writer.create(ref, SecretValue(data), type, actor=ACTOR, operation_id=operation_id())


def update(writer: SecretWriter, ref: SecretRef, data: bytes, expected: str | None = None) -> SecretMetadata:
    """Update ``ref``, as an intent of its own."""
    return writer.update(ref, SecretValue(data), actor=ACTOR, operation_id=operation_id(), expected=expected)


def delete(writer: SecretWriter, ref: SecretRef) -> None:
    """Delete ``ref``, as an intent of its own."""
    writer.delete(ref, actor=ACTOR, operation_id=operation_id())


def read(reader: SecretReader, ref: SecretRef) -> bytes:
    """The current value."""
    token = reader.resolve([ref])[ref].token
    return reader.read(ref, token).value.reveal_bytes()


def eventually(harness: BackendHarness, check: Callable[[], None]) -> None:
    """``check()``; repeated for a while where the store is declared to be eventually consistent."""
    deadline = time.monotonic() + (EVENTUALLY if harness.capabilities.consistency == "eventual" else 0)
    while True:
        try:
            return check()
        except (AssertionError, KeyError, NotFound, Changed):
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)
