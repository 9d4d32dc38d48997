"""Whatever befalls the API server: the same table as for the other stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_store import kubernetes
from fault_stores import Behind
from fault_table import causes_of, check, trial
from kit import Cluster


@pytest.fixture(scope="module")
def store(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with kubernetes(cluster, tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.mark.parametrize("cause", causes_of("kubernetes"))
def test_it_is_told_with_its_code_in_time_and_well_again(store: Behind, cause: str) -> None:
    proxy, service = store
    check(cause, trial(service, proxy, cause))
