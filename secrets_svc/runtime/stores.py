"""Configured stores, and the audit file that goes with their use. Imports no server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secrets_svc.backends import registry
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.ports import Backend, SecretWriter
from secrets_svc.core.state_folder import audit_file_of
from secrets_svc.data.reading import ReadingOptions, ScopedReading
from secrets_svc.runtime.audit_file import AuditFile
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.settings_source import parse_model


@dataclass(frozen=True, slots=True)
class Store:
    """One configured instance of a backend."""

    name: str
    backend: Backend
    settings: Any
    state: Path

    def open_writer(self) -> SecretWriter:
        """With the writer's identity."""
        return self.backend.open_writer(self.settings, state=self.state)

    def open_reading(self, *, deadline: float, max_staleness: float = 0.0) -> ScopedReading:
        """With the reader's identity.

        :param deadline: seconds for one call. :param max_staleness: seconds an answer may serve again.
        """
        options = ReadingOptions(self.backend.capabilities.inline, deadline, max_staleness)
        reader = self.backend.open_reader(self.settings, state=self.state)
        return ScopedReading(store=self.name, reader=reader, options=options)


def configured_store(settings: Settings, state: Path) -> Store:
    """The one store that the settings name.

    :raises InvalidArgument: none or several, an unknown backend, or wrong settings of it.
    """
    if len(settings.stores) != 1:
        raise InvalidArgument(f"stores: exactly one store is configured, not {len(settings.stores)}")
    [(name, table)] = settings.stores.items()
    backend_name = table.get("backend")
    if not isinstance(backend_name, str):
        raise InvalidArgument(f'stores.{name}.backend is missing, e.g. "local"')
    backend = registry.load(backend_name)
    own = {key: value for key, value in table.items() if key != "backend"}
    return Store(name, backend, parse_model(backend.settings_model, own, f"stores.{name}"), state)


def open_audit(state: Path) -> AuditFile:
    """The audit file of the server whose state folder this is, opened for appending."""
    return AuditFile(audit_file_of(state))
