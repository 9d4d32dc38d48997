"""However many pods come: a store is asked about a secret no more than its latency, or staleness, allows.

All is real but the store, which is one in memory behind a reader that takes 5 ms. What counts as a call about
a secret: every look-up that has its name, and every read of its value.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Iterator

import pytest
from admissions import NAMESPACE, SHOP, AuditList, pod, review
from counted_reader import CountedReader

from injector.delivery.memory import InMemoryStaging
from injector.dialects import ours
from injector.handler import AdmissionHandler
from injector.proofs import NamespaceMap
from injector.requests import Claim
from secrets_svc.backends.memory import MemoryStore
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.store_reading import ReadingOptions, StoreReading

LATENCY = 0.005
NAMES = tuple(f"secret-{number}" for number in range(5))
#: Pods are of some kinds: each asks for other secrets, in another order.
BODIES = tuple(
    review(pod([{"name": name} for name in (NAMES[kind:] + NAMES[:kind])[: kind + 1]])) for kind in range(5)
)

AT_ONCE = 1_000
SUCCESSIVE = 10_000
#: Those who ask one after the other, side by side, so that the test takes seconds and not a minute.
LANES = 25


class World:
    """An injector, a store with all secrets, and a way to let pods come."""

    def __init__(self, max_staleness: float) -> None:
        store = MemoryStore()
        self.writer = store.writer()
        for name in NAMES:
            self.writer.create(
                SecretRef(SHOP, name), SecretValue(b"x"), SecretType.GENERIC, actor="t", operation_id=name
            )
        self.reader = CountedReader(store.reader(), latency=LATENCY)
        options = ReadingOptions(max_staleness=max_staleness)
        self.reading = ScopedReading.of(StoreReading(store="main", reader=self.reader, options=options))
        self.handler = AdmissionHandler(
            reading=self.reading,
            staging=InMemoryStaging(),
            dialects=[ours],
            proofs=[NamespaceMap("flyte", {NAMESPACE: Claim("shop", "production")})],
            audit=AuditList(),
            deadline=30.0,
        )

    async def admit(self, number: int) -> None:
        """One pod, which must be let in with all that it asks for."""
        [answer] = self.handler.answer([BODIES[number % len(BODIES)]])
        assert not isinstance(answer, Exception)
        response = json.loads(await answer if isinstance(answer, Awaitable) else answer)["response"]
        assert response["allowed"], response
        assert response["patch"]

    async def at_once(self, count: int) -> None:
        """All of them in one turn of the loop."""
        await asyncio.gather(*map(self.admit, range(count)))

    async def successively(self, count: int) -> None:
        """In lanes, in each of which one comes after the other."""

        async def lane(first: int) -> None:
            for number in range(first, count, LANES):
                await self.admit(number)

        await asyncio.gather(*map(lane, range(LANES)))


@pytest.fixture(params=[0.0, 1.0], ids=["fresh", "a second old"])
def staleness(request: pytest.FixtureRequest) -> float:
    age: float = request.param
    return age


@pytest.fixture
def world(staleness: float) -> Iterator[World]:
    made = World(staleness)
    yield made
    made.reading.close()


@pytest.mark.parametrize("way", ["at once", "successively"])
def test_calls_are_bounded_by_time_and_not_by_pods(world: World, staleness: float, way: str) -> None:
    began = time.monotonic()
    if way == "at once":
        asyncio.run(world.at_once(AT_ONCE))
    else:
        asyncio.run(world.successively(SUCCESSIVE))
    duration = time.monotonic() - began
    most = duration / (staleness or LATENCY) + 2
    counts = {name: world.reader.calls_about(name) for name in NAMES}
    print(f"{way}: {duration:.2f} s, calls {counts}, at most {most:.1f}")
    assert all(1 < count <= most for count in counts.values()), (counts, most)


def test_a_value_is_read_once_for_all_pods(world: World) -> None:
    asyncio.run(world.at_once(AT_ONCE))
    assert world.reader.reads == {SecretRef(SHOP, name): 1 for name in NAMES}


def test_a_change_is_seen_by_the_next_pods_with_one_more_read(world: World, staleness: float) -> None:
    """Of that secret alone."""

    async def story() -> None:
        await world.at_once(20)
        world.writer.update(SecretRef(SHOP, NAMES[0]), SecretValue(b"y"), actor="t", operation_id="u")
        await asyncio.sleep(staleness + 0.05)
        await world.at_once(20)

    asyncio.run(story())
    assert world.reader.reads == {SecretRef(SHOP, name): 1 + (name == NAMES[0]) for name in NAMES}
