"""The vault backend keeps the contract, on a real OpenBao, with two identities and the policies we print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from bao import Bao
from served import ServedHarness
from served_suite import ServedContract

from secrets_svc.backends.vault.backend import BACKEND
from secrets_svc.backends.vault.paths import Paths
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.core.secret import SecretRef
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import BackendHarness
from secrets_svc.testing.versions import RollbackContract, VersionContract

Opened = TypeVar("Opened", SecretWriter, SecretReader)


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
    return VaultSettings.model_validate({"address": bao.address, "timeout": 20.0, **tokens})


class VaultHarness:
    capabilities: Capabilities = BACKEND.capabilities

    def __init__(self, settings: VaultSettings, state: Path, bao: Bao) -> None:
        self._settings = settings
        self._bao = bao
        self._state = state
        self._opened: list[SecretWriter | SecretReader] = []

    def writer(self) -> SecretWriter:
        return self._kept(BACKEND.open_writer(self._settings, state=self._state))

    def reader(self) -> SecretReader:
        return self._kept(BACKEND.open_reader(self._settings, state=self._state))

    def reader_of_writer(self) -> SecretReader:
        return self._kept(BACKEND.open_reader(self._swapped(), state=self._state))

    def writer_of_reader(self) -> SecretWriter:
        return self._kept(BACKEND.open_writer(self._swapped(), state=self._state))

    def _swapped(self) -> VaultSettings:
        known = self._settings
        return known.model_copy(update={"writer": known.reader, "reader": known.writer})

    def _kept(self, made: Opened) -> Opened:
        self._opened.append(made)
        return made

    def bring_back(self, ref: SecretRef) -> bool:
        """As ``vault kv undelete`` and ``vault kv rollback`` do it, to the version before the tombstone."""
        path = Paths(self._settings.mount, self._settings.prefix).secret(ref)
        status, answer = self._bao.answer("GET", f"secret/metadata/{path}")
        if status == 404:
            return False
        tombstone = answer["data"]["current_version"]
        wanted = tombstone - 1
        self._bao.call("PUT", f"secret/undelete/{path}", {"versions": [wanted]})
        status, answer = self._bao.answer("GET", f"secret/data/{path}?version={wanted}")
        if status == 404:  # it was destroyed
            return False
        data = answer["data"]["data"]
        self._bao.call("PUT", f"secret/data/{path}", {"options": {"cas": tombstone}, "data": data})
        return True

    def reopen(self) -> None:
        while self._opened:
            self._opened.pop().close()


@pytest.fixture
def harness(settings: VaultSettings, tmp_path: Path, bao: Bao) -> Iterator[VaultHarness]:
    made = VaultHarness(settings, tmp_path, bao)
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
    def harness(self, settings: VaultSettings, tmp_path: Path, bao: Bao) -> Iterator[VaultHarness]:
        rolling = settings.model_copy(update={"rollback": settings.reader})
        harness = VaultHarness(rolling, tmp_path, bao)
        harness.capabilities = replace(BACKEND.capabilities, rollback=True)
        yield harness
        harness.reopen()
