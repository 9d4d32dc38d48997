"""Keeps secrets in this process's memory, for tests: everything ends with the process."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from secrets_svc.core.errors import AlreadyExists, Changed, Conflict, InvalidArgument, NotFound, TooLarge
from secrets_svc.core.intents import fingerprint, used_for_another
from secrets_svc.core.naming import MAX_STORAGE_NAME, storage_name
from secrets_svc.core.ports import Backend, Capabilities, Fits, Page, Resolved, SecretVersion
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

MAX_VALUE = 1_048_576
#: Seconds for which operation ids are remembered.
REMEMBERED = 24 * 3600.0

_log = logging.getLogger(__name__)


class MemorySettings(BaseModel):
    """``[stores.NAME]`` with ``backend = "memory"``: there is nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class _Operation:
    fingerprint: bytes
    answer: SecretMetadata | None
    at: float


@dataclass(slots=True)
class MemoryStore:
    """What writers and readers of one store share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    secrets: dict[SecretRef, tuple[SecretMetadata, SecretValue]] = field(default_factory=dict)
    operations: dict[str, _Operation] = field(default_factory=dict)
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def writer(self) -> MemoryWriter:
        """A writer on this store."""
        return MemoryWriter(self)

    def reader(self) -> MemoryReader:
        """A reader on this store."""
        return MemoryReader(self)

    def earlier(self, operation_id: str, intent: bytes) -> _Operation | None:
        """The operation if it was done already; with the lock held."""
        done = self.operations.get(operation_id)
        if done is not None and done.fingerprint != intent:
            raise used_for_another()
        return done

    def remember(self, operation_id: str, intent: bytes, answer: SecretMetadata | None) -> None:
        """Write down that it was done; forgets what is too old; with the lock held."""
        at = time.monotonic()
        while self.operations and next(iter(self.operations.values())).at < at - REMEMBERED:
            del self.operations[next(iter(self.operations))]
        self.operations[operation_id] = _Operation(intent, answer, at)


class MemoryWriter:
    """See :class:`secrets_svc.core.ports.SecretWriter`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See the port."""
        _check(ref, operation_id, value)
        intent = self._intent("create", ref, value=value, type=type)
        with self._store.lock:
            done = self._store.earlier(operation_id, intent)
            if done is not None and done.answer is not None:
                return done.answer
            if ref in self._store.secrets:
                raise AlreadyExists(f"secret {ref} exists already")
            at = datetime.now(UTC)
            made = SecretMetadata(ref, type, _token(), at, at, actor, actor, len(value))
            return self._put(made, value, operation_id, intent)

    def update(
        self,
        ref: SecretRef,
        value: SecretValue,
        *,
        actor: str,
        operation_id: str,
        expected: str | None = None,
        fits: Fits | None = None,
    ) -> SecretMetadata:
        """See the port."""
        _check(ref, operation_id, value)
        intent = self._intent("update", ref, value=value, expected=expected)
        with self._store.lock:
            done = self._store.earlier(operation_id, intent)
            if done is not None and done.answer is not None:
                return done.answer
            old, _ = self._existing(ref)
            if expected is not None and expected != old.version:
                raise Conflict(f"secret {ref} is at another version than expected: look at it again")
            if fits is not None:
                fits(old.type)
            at = max(datetime.now(UTC), old.updated_at)
            made = replace(old, version=_token(), updated_at=at, updated_by=actor, size=len(value))
            return self._put(made, value, operation_id, intent)

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:  # noqa: ARG002  # the port's
        """See the port."""
        _check(ref, operation_id)
        intent = self._intent("delete", ref)
        with self._store.lock:
            if self._store.earlier(operation_id, intent) is None:
                self._existing(ref)
                del self._store.secrets[ref]
                self._store.remember(operation_id, intent, None)

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See the port."""
        with self._store.lock:
            return self._existing(ref)[0]

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See the port."""
        if not 1 <= limit <= 1000:
            raise InvalidArgument("limit is not valid: 1 to 1000")
        after = _position(cursor)
        with self._store.lock:
            named = sorted((storage_name(ref), held) for ref, (held, _) in self._store.secrets.items())
        behind = [
            (name, held)
            for name, held in named
            if name > after and (held.ref.scope == within if exact else within.covers(held.ref.scope))
        ]
        page = behind[:limit]
        return Page(tuple(held for _, held in page), _cursor(page[-1][0]) if len(behind) > limit else None)

    def close(self) -> None:
        """See the port: there is nothing to let go of."""

    def _existing(self, ref: SecretRef) -> tuple[SecretMetadata, SecretValue]:
        found = self._store.secrets.get(ref)
        if found is None:
            raise NotFound(f"there is no secret {ref}")
        return found

    def _intent(self, verb: str, ref: SecretRef, **more: Any) -> bytes:
        return fingerprint(self._store.key, verb=verb, name=storage_name(ref), **more)

    def _put(
        self, made: SecretMetadata, value: SecretValue, operation_id: str, intent: bytes
    ) -> SecretMetadata:
        self._store.secrets[made.ref] = (made, value)
        self._store.remember(operation_id, intent, made)
        return made


class MemoryReader:
    """See :class:`secrets_svc.core.ports.SecretReader`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """See the port."""
        with self._store.lock:
            held = {ref: self._store.secrets[ref][0] for ref in refs if ref in self._store.secrets}
        return {ref: Resolved(ref, each.version, each.type, each.size) for ref, each in held.items()}

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """See the port."""
        with self._store.lock:
            found = self._store.secrets.get(ref)
        if found is None:
            raise NotFound(f"there is no secret {ref}")
        held, value = found
        if held.version != token:
            raise Changed(f"secret {ref} has changed since it was looked up: resolve it again")
        return SecretVersion(ref, held.version, held.type, value)

    def close(self) -> None:
        """See the port: there is nothing to let go of."""


class MemoryBackend:
    """See :class:`secrets_svc.core.ports.Backend`. Writer and reader of one state folder share one store."""

    name = "memory"
    summary = "This process's memory, for tests: lost at its end."
    capabilities = Capabilities(max_value=MAX_VALUE, inline=True, durable=False)
    settings_model = MemorySettings

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stores: dict[Path, MemoryStore] = {}

    def open_writer(self, settings: MemorySettings, *, state: Path) -> MemoryWriter:  # noqa: ARG002
        """See the port."""
        _log.warning("secrets are kept in memory only: they are lost when this process ends")
        return self._store(state).writer()

    def open_reader(self, settings: MemorySettings, *, state: Path) -> MemoryReader:  # noqa: ARG002
        """See the port."""
        return self._store(state).reader()

    def _store(self, state: Path) -> MemoryStore:
        with self._lock:
            return self._stores.setdefault(state.absolute(), MemoryStore())


def _token() -> str:
    return secrets.token_hex(16)


def _check(ref: SecretRef, operation_id: str, value: SecretValue | None = None) -> None:
    storage_name(ref)
    if not 1 <= len(operation_id) <= 128:
        raise InvalidArgument("operation_id is not valid: 1 to 128 characters")
    if value is not None and len(value) > MAX_VALUE:
        raise TooLarge(f"the value of secret {ref} has {len(value)} bytes, over the limit of {MAX_VALUE}")


def _cursor(name: str) -> str:
    return name.encode().hex()


def _position(cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        name = bytes.fromhex(cursor).decode("ascii")
    except ValueError:
        name = ""
    if not name.startswith("u__") or len(name) > MAX_STORAGE_NAME or _cursor(name) != cursor:
        raise InvalidArgument("cursor is not valid: give back the one of the page before")
    return name


BACKEND: Backend = MemoryBackend()
