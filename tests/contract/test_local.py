"""The local backend keeps the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from served import ServedHarness
from served_suite import ServedContract

from secrets_svc.backends.local import BACKEND
from secrets_svc.backends.local.databases import FILE
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.core.secret import SecretRef
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import BackendHarness


class LocalHarness:
    capabilities: Capabilities = BACKEND.capabilities

    def __init__(self, state: Path) -> None:
        self._state = state
        self._opened = ExitStack()
        self.writer()

    def writer(self) -> SecretWriter:
        writer = BACKEND.open_writer(BACKEND.settings_model(), state=self._state)
        self._opened.callback(writer.close)
        return writer

    def reader(self) -> SecretReader:
        reader = BACKEND.open_reader(BACKEND.settings_model(), state=self._state)
        self._opened.callback(reader.close)
        return reader

    def bring_back(self, ref: SecretRef) -> bool:
        """Nobody could, without a row in one of the two tables with values."""
        with closing(sqlite3.connect(self._state / FILE)) as opened:
            rows = [
                opened.execute(f"SELECT 1 FROM {table} WHERE storage_name = ?", (storage_name(ref),))
                for table in ("secrets", "versions")
            ]
            return any(found.fetchall() for found in rows)

    def reopen(self) -> None:
        self._opened.close()

    close = reopen


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[LocalHarness]:
    harness = LocalHarness(tmp_path / "state")
    yield harness
    harness.close()


class TestContract(BackendContract):
    """At the port."""


class TestServed(ServedContract):
    @pytest.fixture
    def harness(self, harness: BackendHarness) -> ServedHarness:
        return ServedHarness(harness)
