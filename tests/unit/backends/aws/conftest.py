"""A store on moto's server, as it is and behind a front that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_front import Front
from aws_store import Store
from moto_server import Moto, profiles


@pytest.fixture(autouse=True)
def credentials(aws_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Of somebody whom moto lets do everything, as long as it doesn't ask IAM."""
    given = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "test"}
    path = profiles(tmp_path / "credentials", default=given)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    return path


@pytest.fixture(scope="module")
def store(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Tests share it: each uses names of its own."""
    made = Store(moto, tmp_path_factory.mktemp("store"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def front(moto: Moto) -> Iterator[Front]:
    """In front of moto; fails as it is told."""
    made = Front(moto.url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def troubled(moto: Moto, front: Front, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store of ``store``, seen through the front."""
    made = Store(moto, tmp_path_factory.mktemp("troubled"), front.url)
    yield made
    made.close()
