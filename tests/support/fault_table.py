"""Causes × backends: what the service says while a store fails, and when it is well again.

Each row is tried with the reader and the writer that the service itself uses, over a proxy in front of the
real server.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

from fault_proxy import VENDOR, FaultProxy

from secrets_svc.core.errors import SecretsError
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data import retrying
from secrets_svc.data.health import ATTEMPTS
from secrets_svc.runtime.stores import Store

#: What an admission gets of its five seconds.
DEADLINE = 4.0
#: What a create gets, and what each of the two may take beyond that: the machine is busy.
WRITE_DEADLINE = retrying.DEADLINE
SLACK = 1.0
#: Seconds after a fault's end in which a store is used again, by itself.
RECOVERY = 10.0
VALUE = b"canary-of-the-fault-table"
#: Calls that one look-up, or one create, of any store is.
_CALLS = 8
SCOPE = Scope("flyte", "production", "shop")

#: What may be said about each: codes of DESIGN.md, with "ok" where it may also work.
CAUSES: dict[str, set[str]] = {
    "refused connection": {"unavailable"},
    "black hole": {"deadline_exceeded", "unavailable"},
    "2.5 s latency": {"deadline_exceeded", "ok"},
    "3 s latency": {"deadline_exceeded", "ok"},
    "reset half-way": {"unavailable"},
    "truncated body": {"unavailable"},
    "HTML instead of JSON": {"unavailable"},
    "a 404 page of a proxy": {"unavailable"},
    "429": {"throttled"},
    "429 with Retry-After": {"throttled"},
    "500": {"unavailable"},
    "503": {"unavailable"},
    "sealed": {"unavailable"},
    "all tokens revoked": {"ok"},
    "restarted with all tokens gone": {"unavailable"},
    "expired credentials": {"unavailable"},
    "expired credentials, told in XML": {"unavailable"},
    "clock 10 minutes off": {"unavailable"},
    "TLS of the wrong CA": {"unavailable"},
    "DNS gone": {"unavailable"},
}
#: Causes that only some stores know; all know the others. AWS alone signs by the clock of who calls.
OF_STORES: dict[str, set[str]] = {
    "sealed": {"vault"},
    "all tokens revoked": {"vault"},
    "restarted with all tokens gone": {"vault"},
    "expired credentials": {"aws"},
    "expired credentials, told in XML": {"aws"},
    "clock 10 minutes off": {"aws"},
}


def causes_of(store: str) -> list[str]:
    """What may befall a store of that backend."""
    return [cause for cause in CAUSES if store in OF_STORES.get(cause, {store})]


@dataclass(frozen=True)
class Trial:
    """What came of one cause.

    :ivar read: code of a look-up. :ivar wrote: code of a create. :ivar looking: seconds that the look-up
    took. :ivar writing: that the create took. :ivar recovery: until both worked again. :ivar calls: that the
    store saw for both.
    """

    read: str
    wrote: str
    looking: float
    writing: float
    recovery: float
    messages: tuple[str, ...]
    calls: int


class Service:
    """Reader and writer of one store, as the service opens them.

    :param ref: of a secret that is there; without it one is made, so that both have been in use.
    """

    def __init__(self, store: Store, ref: SecretRef | None = None) -> None:
        self.store = store
        self.reading = store.open_reading(deadline=DEADLINE)
        self.writer = store.open_writer(at_once=8)
        self.ref = ref or SecretRef(SCOPE, f"s-{secrets.token_hex(4)}")
        # One loop for all, as in a server.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        if ref is None:
            self.write(self.ref)

    def write(self, ref: SecretRef) -> None:
        """Create it."""
        value = SecretValue(VALUE)
        self.writer.create(ref, value, SecretType.GENERIC, actor="t", operation_id=secrets.token_hex(8))

    def look_up(self) -> None:
        """As an admission does."""
        found = asyncio.run_coroutine_threadsafe(self.reading.resolve([self.ref]), self._loop).result(30)
        assert self.ref in found, "a failure was taken for absence"

    def close(self) -> None:
        """Let go of everything."""
        self.reading.close()
        self.writer.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def trial(service: Service, proxy: FaultProxy, cause: str) -> Trial:
    """Have ``cause`` happen, and end."""
    before = proxy.calls
    with _happening(proxy, cause):
        read, read_took, said = _attempt(service.look_up)
        wrote, wrote_took, said_too = _attempt(lambda: service.write(_another()))
    calls = proxy.calls - before
    recovery = until_well(service)
    return Trial(read, wrote, read_took, wrote_took, recovery, (said, said_too), calls)


def until_well(service: Service) -> float:
    """Seconds until a look-up and a create worked again."""
    began = time.monotonic()
    for call in (service.look_up, lambda: service.write(_another())):
        while _attempt(call)[0] != "ok":
            assert time.monotonic() - began < 3 * RECOVERY, "not well again"
            time.sleep(0.1)
    return time.monotonic() - began


def check(cause: str, came: Trial) -> None:
    """What must hold for every cause."""
    assert came.read in CAUSES[cause], came
    assert came.wrote in CAUSES[cause] | {"ok"} if "latency" in cause else came.wrote in CAUSES[cause], came
    assert came.looking <= DEADLINE + SLACK, came
    assert came.writing <= WRITE_DEADLINE + SLACK, came
    assert came.recovery <= RECOVERY, came
    assert came.calls <= most_calls(cause), came
    for message in came.messages:
        assert VENDOR not in message
        assert VALUE.decode() not in message


def most_calls(cause: str) -> int:
    """That a look-up and a create may be to the store: what fails at once is tried three times at most, and
    what is waited for in vain is not tried again.
    """
    if "ok" in CAUSES[cause]:
        return 2 * ATTEMPTS * _CALLS  # they succeed, until one is too late
    return ATTEMPTS * 2 * (2 if "credentials" in cause else 1)  # credentials are looked for anew once


def _another() -> SecretRef:
    return SecretRef(SCOPE, f"w-{secrets.token_hex(6)}")


@contextlib.contextmanager
def _happening(proxy: FaultProxy, cause: str) -> Iterator[None]:
    if cause != "DNS gone":
        with proxy.failing(cause):
            yield
        return

    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, VENDOR)

    with proxy.failing("refused connection"), mock.patch("socket.getaddrinfo", nobody):
        yield


def _attempt(call: Callable[[], None]) -> tuple[str, float, str]:
    began = time.monotonic()
    try:
        call()
    except SecretsError as error:
        return error.code, time.monotonic() - began, error.message
    return "ok", time.monotonic() - began, ""
