"""The product in the shared cluster: manifests applied as they are, servers as processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from installation import Installation
from kit import Cluster


@pytest.fixture(scope="session")
def installation(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The manifests in the shared cluster, one server with every role, and the webhook that leads to it."""
    with Installation(cluster, tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest.fixture
def shop(installation: Installation) -> str:
    """A new namespace that stands for project shop in domain production."""
    return installation.namespace("shop", "production")
