"""Last known good: off by default; a version that is staged already, for a while, and told as what it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from admissions import NAMESPACE, SHOP, STATUS, Kit, RecordingReader, apply, patch_of, pod
from counted_reader import CountedReader

from injector.delivery.memory import InMemoryStaging
from injector.delivery.staging import Read, Staged, ValueFacts
from injector.last_known import MAX_KNOWN, LastKnownGood
from secrets_svc.core.errors import PermissionDenied, SecretsError, Spoilt, Throttled, Unavailable
from secrets_svc.core.ports import Resolved
from secrets_svc.core.routing import Route, Routes
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import Selector
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.store_reading import ReadingOptions, StoreReading

POD = pod([{"name": "db"}, {"name": "key", "file": "key"}])
DOMAIN = Scope("flyte", domain="production")
#: Without a retry: its store asks for more patience than there is.
DOWN = Unavailable("down", retry_after=5.0)


@pytest.fixture
def kit() -> Iterator[Kit]:
    made = Kit(inline=False, last_known_good=60)
    made.reader.put("db", b"1")
    made.reader.put("key", b"2")
    yield made
    made.reading.close()


def status_of(pod_: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(pod_["metadata"]["annotations"][STATUS])
    return found


def test_it_is_off_by_default() -> None:
    kit = Kit(inline=False)
    kit.reader.put("db", b"1")
    kit.mutate(pod([{"name": "db"}]))
    kit.reader.failing = DOWN
    assert kit.refusal(pod([{"name": "db"}]))[0] == 503
    kit.reading.close()


@pytest.mark.parametrize("error", [DOWN, Throttled("slowly", retry_after=5.0)])
def test_a_pod_gets_what_is_staged_and_is_told_as_of_when(kit: Kit, error: SecretsError) -> None:
    fresh = kit.mutate(POD)
    kit.reader.failing, reads = error, kit.reader.reads
    kit.now += 37
    response = kit.admit(POD)
    assert response["allowed"]
    known = apply(POD, response)
    assert known["spec"] == fresh["spec"]
    assert [each.pop("as_of") for each in status_of(known)] == ["1970-01-01T00:16:40.000000Z"] * 2
    assert [{**each, "as_of": ""} for each in status_of(fresh)] == [
        {**each, "as_of": ""} for each in status_of(known)
    ]
    assert response["warnings"] == [
        'secret "db" (env DB) is as of 1970-01-01T00:16:40.000000Z: it can\'t be looked up',
        'secret "key" (file key) is as of 1970-01-01T00:16:40.000000Z: it can\'t be looked up',
    ]
    assert kit.reader.reads == reads
    assert "as_of" not in kit.audit[0].detail
    assert kit.audit[1].detail["as_of"] == dict.fromkeys(("db", "key"), "1970-01-01T00:16:40.000000Z")
    assert kit.audit[1].secrets == kit.audit[0].secrets


def test_a_second_pass_changes_nothing(kit: Kit) -> None:
    kit.mutate(POD)
    kit.reader.failing = DOWN
    kit.now += 10
    once = kit.mutate(POD)
    kit.now += 10
    assert patch_of(kit.admit(once)) == []


def test_when_the_store_is_well_again_nothing_is_left_of_it(kit: Kit) -> None:
    fresh = kit.mutate(POD)
    kit.reader.failing = DOWN
    kit.mutate(POD)
    kit.reader.failing = None
    again = kit.admit(POD)
    assert apply(POD, again) == fresh
    assert "warnings" not in again


def test_it_serves_for_as_long_as_the_operator_says(kit: Kit) -> None:
    kit.mutate(POD)
    kit.reader.failing = DOWN
    kit.now += 60
    assert kit.admit(POD)["allowed"]
    kit.now += 0.001
    assert kit.refusal(POD)[0] == 503


def test_each_look_up_makes_it_young_again(kit: Kit) -> None:
    kit.mutate(POD)
    kit.now += 50
    kit.mutate(POD)
    kit.reader.failing = DOWN
    kit.now += 50
    assert kit.admit(POD)["allowed"]


def test_what_was_seen_to_be_gone_is_not_given(kit: Kit) -> None:
    kit.mutate(POD)
    kit.reader.values = {ref: held for ref, held in kit.reader.values.items() if ref.name != "db"}
    assert kit.refusal(POD)[0] == 400
    kit.reader.failing = DOWN
    assert kit.refusal(POD)[0] == 503


def test_a_name_that_was_never_looked_up_is_refused(kit: Kit) -> None:
    kit.mutate(pod([{"name": "db"}]))
    kit.reader.failing = DOWN
    assert kit.refusal(POD)[0] == 503
    assert kit.refusal(pod([{"name": "db"}, {"name": "other", "optional": True}]))[0] == 503


def test_a_dry_run_is_not_for_it(kit: Kit) -> None:
    """It reads, to tell what would happen: that can't be told now."""
    kit.mutate(POD)
    kit.reader.failing = DOWN
    assert kit.refusal(POD, dryRun=True)[0] == 503


@pytest.mark.parametrize("error", [PermissionDenied("no"), Spoilt("spoilt")])
def test_what_is_no_outage_is_refused(kit: Kit, error: SecretsError) -> None:
    kit.mutate(POD)
    kit.reader.failing = error
    assert not kit.admit(POD)["allowed"]


class World:
    """Names under the project are in one store, all others in another; the clock stands still."""

    def __init__(self) -> None:
        self.own, self.common = RecordingReader(), RecordingReader()
        self.slow = CountedReader(self.common)
        self.reading = ScopedReading(
            {
                "own": StoreReading(store="own", reader=self.own, options=ReadingOptions(deadline=30)),
                "common": StoreReading(
                    store="common", reader=self.slow, options=ReadingOptions(deadline=0.3)
                ),
            },
            Routes([Route("own", project="shop"), Route("common")]),
        )
        self.staging = InMemoryStaging()
        self.known = LastKnownGood(
            max_age=60, reading=self.reading, staging=self.staging, clock=lambda: 0.0, wall=lambda: 7.0
        )
        self.own.put("a", b"a")
        self.common.put("b", b"b", DOMAIN)

    async def look_up(self, *names: str, namespace: str = NAMESPACE) -> tuple[list[str | None], list[str]]:
        """Versions, and the names that are as of an earlier time; stages what is found."""
        hits, as_of = await self.known.resolve(namespace, SHOP, tuple(map(Selector, names)))
        for hit in hits:
            if hit is not None and self.staging.staged(namespace, hit) is None:
                await self.staging.stage(namespace, hit, self.reading.read)
        assert set(as_of.values()) <= {7.0}
        return [hit.token if hit else None for hit in hits], [each.name for each in as_of]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.reading.close()


def test_stores_that_are_well_are_asked_all_the_same(world: World) -> None:
    async def story() -> None:
        assert await world.look_up("a", "b") == (["token-1", "token-1"], [])
        world.common.failing = DOWN
        world.own.put("a", b"new")
        assert await world.look_up("a", "b") == (["token-2", "token-1"], ["b"])
        world.own.values.clear()  # a wider scope may have it: the store of that can't tell
        with pytest.raises(Unavailable):
            await world.look_up("never", "b")

    asyncio.run(story())


def test_a_narrower_store_that_fails_decides_for_nobody(world: World) -> None:
    async def story() -> None:
        await world.look_up("a", "b")
        world.own.failing = DOWN
        world.common.put("b", b"new", DOMAIN)
        assert await world.look_up("a", "b") == (["token-1", "token-1"], ["a", "b"])

    asyncio.run(story())


def test_a_store_that_hangs_fails_too(world: World) -> None:
    async def story() -> None:
        await world.look_up("a", "b")
        world.slow.hang()
        assert await world.look_up("a", "b") == (["token-1", "token-1"], ["b"])
        world.slow.go_on()

    asyncio.run(story())


def test_what_is_staged_in_another_namespace_only_is_refused(world: World) -> None:
    async def story() -> None:
        await world.look_up("b")
        world.common.failing = DOWN
        with pytest.raises(Unavailable):
            await world.look_up("b", namespace="another")
        assert await world.look_up("b") == (["token-1"], ["b"])

    asyncio.run(story())


def test_no_more_names_are_kept_than_fit() -> None:
    class Everything:
        """All is staged."""

        def staged(self, namespace: str, resolved: Resolved) -> Staged | None:
            return Staged("ss-x", resolved, ValueFacts(1, None))

        async def stage(self, namespace: str, resolved: Resolved, read: Read) -> Staged:
            raise NotImplementedError

    reader = RecordingReader()
    names = tuple(f"n-{number}" for number in range(MAX_KNOWN + 1))
    for name in names:
        reader.put(name, b"x")
    reading = ScopedReading.of(
        StoreReading(store="s", reader=reader, options=ReadingOptions(inline=True, max_staleness=0.001))
    )
    known = LastKnownGood(max_age=60, reading=reading, staging=Everything())

    async def story() -> None:
        await known.resolve(NAMESPACE, SHOP, tuple(map(Selector, names)))
        reader.failing = DOWN
        await asyncio.sleep(0.01)
        assert (await known.resolve(NAMESPACE, SHOP, (Selector(names[-1]),))).as_of
        with pytest.raises(Unavailable):
            await known.resolve(NAMESPACE, SHOP, (Selector(names[0]),))

    asyncio.run(story())
    reading.close()
