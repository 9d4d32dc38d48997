"""The memory backend keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from served import ServedHarness
from served_suite import ServedContract

from secrets_svc.backends.memory import BACKEND, MemoryStore
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.core.secret import SecretRef
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import BackendHarness


class MemoryHarness:
    capabilities: Capabilities = BACKEND.capabilities

    def __init__(self) -> None:
        self._store = MemoryStore()

    def writer(self) -> SecretWriter:
        return self._store.writer()

    def reader(self) -> SecretReader:
        return self._store.reader()

    def bring_back(self, ref: SecretRef) -> bool:
        return ref in self._store.secrets

    def reopen(self) -> None:
        self._store = MemoryStore()


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


class TestContract(BackendContract):
    """At the port."""


class TestServed(ServedContract):
    @pytest.fixture
    def harness(self, harness: BackendHarness) -> ServedHarness:
        return ServedHarness(harness)


def test_one_state_folder_is_one_store(tmp_path: Path) -> None:
    settings = BACKEND.settings_model()
    one = BACKEND.open_writer(settings, state=tmp_path / "one")
    assert BACKEND.open_reader(settings, state=tmp_path / "one")._store is one._store
    assert BACKEND.open_reader(settings, state=tmp_path / "two")._store is not one._store
