"""A real server for all tests here, and stores on it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bao import Bao
from vault_store import Store

from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as server:
        yield server


@pytest.fixture
def open_store(bao: Bao) -> Iterator[Callable[..., Store]]:
    """Makes stores; as root, if nothing else is said, in a folder of their own."""
    opened: list[Store] = []

    def make(**settings: Any) -> Store:
        root = {"method": "token", "token": bao.token}
        chosen = {"address": bao.address, "prefix": f"p-{secrets.token_hex(4)}", "login": root, **settings}
        opened.append(Store(chosen))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    """One, as root."""
    return open_store()


REF = SecretRef(Scope("flyte", "production", "shop"), "db-password")


@pytest.fixture
def ref() -> SecretRef:
    return REF
