"""How often a store is asked while very many pods are created, and that one that hangs hurts no other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Iterable

import pytest
from admissions import NAMESPACE, SHOP, AuditList, RecordingReader, pod, review

from injector.delivery.memory import InMemoryStaging
from injector.handler import AdmissionHandler
from injector.proofs import NamespaceMap
from injector.requests import Claim
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.routing import Route, Routes
from secrets_svc.core.secret import SecretRef
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.store_reading import ReadingOptions, StoreReading

LATENCY = 0.005
NAMES = [f"s{number}" for number in range(5)]
BODY = review(pod([{"name": name} for name in NAMES]))


class SlowReader(RecordingReader):
    """Takes 5 ms for each call, and counts the calls that each secret is in."""

    def __init__(self) -> None:
        super().__init__()
        self.about: Counter[SecretRef] = Counter()
        self.hangs = False

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        refs = list(refs)
        self.about.update(refs)
        time.sleep(2 if self.hangs else LATENCY)
        return super().resolve(refs)

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        self.about[ref] += 1
        time.sleep(LATENCY)
        return super().read(ref, token)


def handler_over(reading: ScopedReading, namespaces: dict[str, Claim] | None = None) -> AdmissionHandler:
    known = namespaces or {NAMESPACE: Claim("shop", "production")}
    proofs = [NamespaceMap("flyte", known)]
    return AdmissionHandler(
        reading=reading, staging=InMemoryStaging(), proofs=proofs, audit=AuditList(), deadline=5.0
    )


async def admit(handler: AdmissionHandler, body: bytes = BODY) -> None:
    [reply] = handler.answer([body])
    assert isinstance(reply, (bytes, Awaitable))
    answer = reply if isinstance(reply, bytes) else await reply
    assert b'"allowed":true' in answer, answer


def over_store(max_staleness: float) -> tuple[SlowReader, AdmissionHandler, StoreReading]:
    reader = SlowReader()
    for name in NAMES:
        reader.put(name, b"value")
    options = ReadingOptions(deadline=4.0, max_staleness=max_staleness)
    store = StoreReading(store="slow", reader=reader, options=options)
    return reader, handler_over(ScopedReading.of(store)), store


async def simultaneous(handler: AdmissionHandler) -> None:
    """A thousand at one moment."""
    await asyncio.gather(*(admit(handler) for _ in range(1000)))


async def successive(handler: AdmissionHandler) -> None:
    """Ten thousand, on fifty connections one after the other."""

    async def connection() -> None:
        for _ in range(200):
            await admit(handler)

    await asyncio.gather(*(connection() for _ in range(50)))


@pytest.mark.parametrize("load", [simultaneous, successive])
@pytest.mark.parametrize("max_staleness", [0.0, 1.0], ids=["fresh", "at most 1 s old"])
def test_a_store_is_asked_no_oftener_than_answers_take(load: object, max_staleness: float) -> None:
    """For each secret at most duration / latency + 2 calls; with staleness duration / staleness + 2."""
    reader, handler, store = over_store(max_staleness)
    began = time.monotonic()
    asyncio.run(load(handler))  # type: ignore[operator]
    duration = time.monotonic() - began
    store.close()
    bound = duration / (max_staleness or LATENCY) + 2
    wanted = {SecretRef(SHOP, name) for name in NAMES}
    assert wanted <= set(reader.about)
    assert max(reader.about.values()) <= bound  # of any kind: the value is read once


def test_a_store_that_hangs_takes_nothing_from_another() -> None:
    """Its pods are refused in time; others are let in meanwhile, and its threads are bounded."""
    sick, well = SlowReader(), SlowReader()
    sick.hangs = True
    for name in NAMES:
        well.put(name, b"value")
    options = ReadingOptions(deadline=1.0, threads=4)
    stores = {
        "sick": StoreReading(store="sick", reader=sick, options=options),
        "well": StoreReading(store="well", reader=well, options=options),
    }
    routes = Routes([Route("sick", project="bank"), Route("well")])
    namespaces = {NAMESPACE: Claim("shop", "production"), "bank": Claim("bank", "production")}
    handler = handler_over(ScopedReading(stores, routes), namespaces)
    times: list[float] = []

    async def hammer(number: int) -> None:
        body = review(pod([{"name": f"n{number}"}]), namespace="bank")
        [reply] = handler.answer([body])
        assert isinstance(reply, Awaitable)
        assert b'"code":503' in await reply

    async def others() -> None:
        for _ in range(50):
            began = time.monotonic()
            await admit(handler)
            times.append(time.monotonic() - began)

    async def story() -> None:
        await asyncio.gather(*(hammer(number) for number in range(40)), others())

    asyncio.run(story())
    for store in stores.values():
        store.close()
    assert max(times) < 0.9  # below the deadline that the sick one uses up
    assert sick.resolves <= 4 * 3  # four threads, each let go after its call
