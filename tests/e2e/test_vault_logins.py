"""Sessions under faults: a first login that meets one, tokens that don't live long, a clock that is off."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bao import Bao
from fault_stores import Behind, logins, vault
from fault_table import OF_STORES, SCOPE, Service, causes_of, check, trial

from secrets_svc.backends import registry
from secrets_svc.core.errors import SecretsError
from secrets_svc.core.secret import SecretRef
from secrets_svc.runtime.stores import Store

#: Seconds that a token may live at most, and for how long it is lived with.
LONGEST, LIVED = 10, 60.0


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with vault(tmp_path_factory.mktemp("vault")) as made:
        yield made


@pytest.mark.parametrize("cause", [cause for cause in causes_of("vault") if cause not in OF_STORES])
def test_a_first_login_that_meets_a_fault_is_made_up_for(behind: Behind, cause: str) -> None:
    """What a session asks before its first call fails as that call would, and is asked anew soon."""
    proxy, service = behind
    fresh = Service(service.store, service.ref)
    try:
        check(cause, trial(fresh, proxy, cause))
    finally:
        fresh.close()


def sessions(service: Service) -> list[Any]:
    """Of the writer and of the reader."""
    reader: Any = service.reading
    writer: Any = service.writer
    return [writer._writer._writer._kv._session, reader._reader._kv._session]


def test_tokens_that_live_ten_seconds_are_lived_with_for_a_minute(tmp_path: Path) -> None:
    """Each side logs in before its token is over, so no call is in vain, and no more often than it must."""
    with Bao(tmp_path) as server:
        plain = {"address": server.address}
        limits = {"token_ttl": f"{LONGEST}s", "token_max_ttl": f"{LONGEST}s"}
        settings = {**plain, **logins(server, plain, tmp_path, **limits)}
        backend = registry.load("vault")
        service = Service(Store("main", backend, backend.settings_model.model_validate(settings), tmp_path))
        failures: list[SecretsError] = []
        calls, slowest, begun = 0, 0.0, time.monotonic()
        while (now := time.monotonic()) < begun + LIVED:
            try:
                service.look_up()
                service.write(SecretRef(SCOPE, f"w-{secrets.token_hex(6)}"))
            except SecretsError as error:
                failures.append(error)
            calls, slowest = calls + 1, max(slowest, time.monotonic() - now)
            time.sleep(0.1)
        made = [session.logins for session in sessions(service)]
        service.close()
    assert failures == []
    assert calls > LIVED
    assert slowest < 4.0
    for count in made:
        assert LIVED / LONGEST <= count <= LIVED / (LONGEST * 2 / 3) + 2
