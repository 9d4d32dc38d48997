"""Whatever befalls a store: a coded answer in time, in our own words, and well again by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from fault_stores import STORES, Behind
from fault_table import Service, causes_of, check, trial, until_well

from secrets_svc.client.http import DEFAULT_TIMEOUT
from secrets_svc.core.errors import SecretsError
from secrets_svc.data import retrying


@pytest.fixture(scope="module")
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    with STORES[request.param](folder) as made:
        yield made


@pytest.mark.parametrize(
    ("store", "cause"), [(name, cause) for name in STORES for cause in causes_of(name)], indirect=["store"]
)
def test_it_is_told_with_its_code_in_time_and_well_again(store: Behind, cause: str) -> None:
    proxy, service = store
    came = trial(service, proxy, cause)
    check(cause, came)


@pytest.mark.parametrize("store", STORES, indirect=True)
@pytest.mark.parametrize("cause", ["429", "500", "reset half-way"])
def test_a_steady_rate_is_at_most_doubled_by_failing(store: Behind, cause: str) -> None:
    """``429`` is the worst: it opens no circuit."""
    proxy, service = store
    well = _calls(proxy, service)
    with proxy.failing(cause):
        failing = _calls(proxy, service)
    assert failing <= 2 * well + 10
    until_well(service)


def _calls(proxy: FaultProxy, service: Service) -> int:
    """That the store sees of so many look-ups, one after the other."""
    before = proxy.calls
    for _ in range(40):
        with suppress(SecretsError):
            service.look_up()
    return proxy.calls - before


def test_whoever_writes_hears_of_the_deadline_before_giving_up() -> None:
    assert retrying.DEADLINE + 1 < DEFAULT_TIMEOUT
