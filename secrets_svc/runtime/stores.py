"""Configured stores, and the audit file that goes with their use. Imports no server."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secrets_svc.backends import registry
from secrets_svc.core.abilities import RefusesWrites
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.maintenance import Maintainable
from secrets_svc.core.ports import Backend
from secrets_svc.core.routing import Route, Routes
from secrets_svc.core.state_folder import audit_file_of
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.retrying import RetryingWriter
from secrets_svc.data.store_reading import ReadingOptions, StoreReading
from secrets_svc.data.writing import RoutedWriter, ValidatedWriter
from secrets_svc.runtime.audit_file import AuditFile
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.settings_source import parse_model

#: Writes that may be under way at once, in all stores together; below the threads that the API has.
_WRITES = 32


@dataclass(frozen=True, slots=True)
class Store:
    """One configured instance of a backend."""

    name: str
    backend: Backend
    settings: Any
    state: Path

    def open_writer(self, *, at_once: int) -> ValidatedWriter:
        """With the writer's identity.

        :param at_once: calls that may be under way.
        """
        capabilities = self.backend.capabilities
        writer = self.backend.open_writer(self.settings, state=self.state)
        refuses = writer if isinstance(writer, RefusesWrites) else None
        if not capabilities.inline:
            writer = RetryingWriter(store=self.name, writer=writer, at_once=at_once)
        return ValidatedWriter(writer=writer, capabilities=capabilities, store=self.name, refuses=refuses)

    def open_reading(
        self, *, deadline: float, max_staleness: float = 0.0, last_known_good: float = 0.0
    ) -> StoreReading:
        """With the reader's identity. Parameters as of :class:`ReadingOptions`."""
        inline = self.backend.capabilities.inline
        options = ReadingOptions(inline, deadline, max_staleness, 0.0 if inline else last_known_good)
        reader = self.backend.open_reader(self.settings, state=self.state)
        return StoreReading(store=self.name, reader=reader, options=options)


@dataclass(frozen=True, slots=True)
class Stores:
    """The configured stores, and which scopes each is for."""

    by_name: Mapping[str, Store]
    routes: Routes

    def open_writer(self) -> RoutedWriter:
        """A writer of each, joined."""
        at_once = max(4, _WRITES // len(self.by_name))
        with ExitStack() as undo:
            writers = {}
            for name, store in self.by_name.items():
                writers[name] = store.open_writer(at_once=at_once)
                undo.callback(writers[name].close)
            undo.pop_all()
            return RoutedWriter(writers, self.routes)

    def open_reading(
        self, *, deadline: float, max_staleness: float = 0.0, last_known_good: float = 0.0
    ) -> ScopedReading:
        """A reader of each, joined; see :meth:`Store.open_reading`."""
        with ExitStack() as undo:
            readings = {}
            for name, store in self.by_name.items():
                readings[name] = store.open_reading(
                    deadline=deadline, max_staleness=max_staleness, last_known_good=last_known_good
                )
                undo.callback(readings[name].close)
            undo.pop_all()
            return ScopedReading(readings, self.routes)


def configured_stores(settings: Settings, state: Path) -> Stores:
    """The stores that the settings name.

    :raises InvalidArgument: none, an unknown backend, wrong settings of one, or routes that leave a scope
        without a store or a store without a scope.
    """
    stores = {name: _store(name, table, state) for name, table in settings.stores.items()}
    in_folder = [name for name, store in stores.items() if isinstance(store.backend, Maintainable)]
    if len(in_folder) > 1:
        raise InvalidArgument(f"stores: {' and '.join(in_folder)} would lie in the one state folder")
    return Stores(stores, _routes(settings, stores))


def configured_store(settings: Settings, state: Path, name: str) -> Store:
    """One store that the settings name, whether a route leads to it or not.

    :raises InvalidArgument: there is none of that name, or its settings are wrong.
    """
    if name not in settings.stores:
        raise InvalidArgument(f'the settings have no store "{name}"; known: {", ".join(settings.stores)}')
    return _store(name, settings.stores[name], state)


def _store(name: str, table: Mapping[str, Any], state: Path) -> Store:
    backend_name = table.get("backend")
    if not isinstance(backend_name, str):
        raise InvalidArgument(f'stores.{name}.backend is missing, e.g. "local"')
    backend = registry.load(backend_name)
    own = {key: value for key, value in table.items() if key != "backend"}
    return Store(name, backend, parse_model(backend.settings_model, own, f"stores.{name}"), state)


def _routes(settings: Settings, stores: Mapping[str, Store]) -> Routes:
    if not stores:
        raise InvalidArgument("stores: none is configured")
    if not settings.routes:
        if len(stores) > 1:
            raise InvalidArgument(
                f"routes: with {len(stores)} stores they must say which scopes are in which store"
            )
        return Routes.to(*stores)
    routes = []
    for index, each in enumerate(settings.routes):
        if each.store not in stores:
            raise InvalidArgument(f'routes[{index}].store: there is no store "{each.store}" in the settings')
        try:
            routes.append(Route(each.store, each.project, each.domain))
        except InvalidArgument as error:
            raise InvalidArgument(f"routes[{index}]: {error.message}") from None
    try:
        made = Routes(routes)
    except InvalidArgument as error:
        raise InvalidArgument(f"routes: {error.message}") from None
    unused = [name for name in stores if name not in made.stores]
    if unused:
        raise InvalidArgument(f"routes: none leads to store {', '.join(unused)}")
    return made


def open_audit(state: Path) -> AuditFile:
    """The audit file of the server whose state folder this is, opened for appending."""
    return AuditFile(audit_file_of(state))
