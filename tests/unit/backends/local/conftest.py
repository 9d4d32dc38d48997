"""A local store in a temporary folder, and ways to look at it and to spoil it."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from secrets_svc.backends.local import BACKEND
from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

SCOPE = Scope("flyte", "production", "shop")


class Store:
    """A store, opened when needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scope = SCOPE
        self._opened = ExitStack()
        self.settings = BACKEND.settings_model(busy_timeout=0.2)

    def writer(self) -> SecretWriter:
        writer = BACKEND.open_writer(self.settings, state=self.folder)
        self._opened.callback(writer.close)
        return writer

    def reader(self) -> SecretReader:
        reader = BACKEND.open_reader(self.settings, state=self.folder)
        self._opened.callback(reader.close)
        return reader

    def close(self) -> None:
        self._opened.close()

    def ref(self, name: str) -> SecretRef:
        return SecretRef(SCOPE, name)

    def create(self, writer: SecretWriter, name: str, data: bytes) -> SecretMetadata:
        return writer.create(
            self.ref(name),
            SecretValue(data),
            SecretType.GENERIC,
            actor="tester",
            operation_id=secrets.token_hex(8),
        )

    def update(self, writer: SecretWriter, name: str, data: bytes) -> SecretMetadata:
        return writer.update(
            self.ref(name), SecretValue(data), actor="tester", operation_id=secrets.token_hex(8)
        )

    def delete(self, writer: SecretWriter, name: str) -> None:
        writer.delete(self.ref(name), actor="tester", operation_id=secrets.token_hex(8))

    def read(self, reader: SecretReader, name: str) -> bytes:
        ref = self.ref(name)
        return reader.read(ref, reader.resolve([ref])[ref].token).value.reveal_bytes()

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """As somebody with the file, but without this service, would do it."""
        with closing(sqlite3.connect(self.folder / "secrets.db", isolation_level=None, timeout=5)) as raw:
            return raw.execute(statement, parameters).fetchall()

    def generations(self) -> list[str]:
        return sorted(entry.name for entry in (self.folder / "keys").iterdir())


@pytest.fixture
def new_store() -> Iterator[Callable[[Path], Store]]:
    """Makes stores; they are closed at the end."""
    with ExitStack() as made:

        def make(folder: Path) -> Store:
            store = Store(folder)
            made.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(tmp_path: Path, new_store: Callable[[Path], Store]) -> Store:
    """An empty store."""
    made = new_store(tmp_path / "state")
    made.writer()
    return made
