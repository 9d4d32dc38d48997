"""Whatever befalls a store: a coded answer in time, in our own words, and well again by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_stores import STORES, Behind
from fault_table import CAUSES, DEADLINE, check, trial


@pytest.fixture(scope="module", params=["vault", "aws"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    with STORES[request.param](folder) as made:
        yield made


@pytest.mark.parametrize("cause", CAUSES)
def test_it_is_told_with_its_code_in_time_and_well_again(store: Behind, cause: str) -> None:
    proxy, service = store
    came = trial(service, proxy, cause)
    check(cause, came)
    # A look-up keeps its deadline; a create takes some calls, each with the store's own time-out.
    assert came.seconds <= 4 * DEADLINE, came
