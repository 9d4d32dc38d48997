"""The product in a cluster of its own: manifests applied as they are, servers as processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation
from kit import Cluster


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A cluster with the manifests, one server with every role, and the webhook that leads to it."""
    with Cluster() as cluster, Installation(cluster, tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest.fixture
def shop(installation: Installation) -> str:
    """A new namespace that stands for project shop in domain production."""
    return installation.namespace("shop", "production")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For whatever a test writes."""
    return tmp_path
