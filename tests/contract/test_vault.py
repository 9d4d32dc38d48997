"""The vault backend keeps the contract, on a real OpenBao, with two identities and the policies we print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bao import Bao
from served import ServedHarness
from served_suite import ServedContract

from secrets_svc.backends.vault.backend import BACKEND
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import BackendHarness
from secrets_svc.testing.versions import RollbackContract, VersionContract


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as server:
        yield server


@pytest.fixture(scope="session")
def settings(bao: Bao) -> VaultSettings:
    """Of two identities that may do what the printed policies say, and nothing else."""
    login = {"method": "token", "token": "unused"}
    plain = VaultSettings.model_validate({"address": bao.address, "login": login})
    tokens = {}
    for role in ("writer", "reader"):
        bao.policy(role, BACKEND.policy(plain, role=role))  # type: ignore[attr-defined]
        tokens[role] = {"method": "token", "token": bao.token_with(role)}
    return VaultSettings.model_validate({"address": bao.address, **tokens})


class VaultHarness:
    capabilities: Capabilities = BACKEND.capabilities

    def __init__(self, settings: VaultSettings, state: Path) -> None:
        self._settings = settings
        self._state = state
        self._opened: list[SecretWriter | SecretReader] = []

    def writer(self) -> SecretWriter:
        made = BACKEND.open_writer(self._settings, state=self._state)
        self._opened.append(made)
        return made

    def reader(self) -> SecretReader:
        made = BACKEND.open_reader(self._settings, state=self._state)
        self._opened.append(made)
        return made

    def reopen(self) -> None:
        while self._opened:
            self._opened.pop().close()


@pytest.fixture
def harness(settings: VaultSettings, tmp_path: Path) -> Iterator[VaultHarness]:
    made = VaultHarness(settings, tmp_path)
    yield made
    made.reopen()


class TestContract(BackendContract):
    """At the port."""


class TestServed(ServedContract):
    @pytest.fixture
    def harness(self, harness: BackendHarness) -> ServedHarness:
        return ServedHarness(harness)


class TestWithAThirdIdentity(VersionContract, RollbackContract):
    """Which reads for a rollback, and could do nothing else."""

    @pytest.fixture
    def harness(self, settings: VaultSettings, tmp_path: Path) -> Iterator[VaultHarness]:
        rolling = settings.model_copy(update={"rollback": settings.reader})
        harness = VaultHarness(rolling, tmp_path)
        harness.capabilities = replace(BACKEND.capabilities, rollback=True)
        yield harness
        harness.reopen()
