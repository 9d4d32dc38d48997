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
from secrets_svc.core.errors import PermissionDenied, SecretsError, Spoilt, Throttled, Unavailable
from secrets_svc.core.ports import SecretReader
from secrets_svc.core.routing import Route, Routes
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, Selector
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
            {"own": self._store("own", self.own, 30), "common": self._store("common", self.slow, 0.3)},
            Routes([Route("own", project="shop"), Route("common")]),
        )
        self.staging = InMemoryStaging()
        self.own.put("a", b"a")
        self.common.put("b", b"b", DOMAIN)

    @staticmethod
    def _store(name: str, reader: SecretReader, deadline: float) -> StoreReading:
        options = ReadingOptions(deadline=deadline, last_known_good=60)
        return StoreReading(store=name, reader=reader, options=options, clock=lambda: 0.0, wall=lambda: 7.0)

    async def look_up(self, *names: str, namespace: str = NAMESPACE) -> tuple[list[str | None], list[str]]:
        """Versions, and the names that are as of an earlier time; stages what is found."""
        hits = await self.reading.resolve(SHOP, tuple(map(Selector, names)))
        for hit in hits:
            if hit is not None and self.staging.staged(namespace, hit) is None:
                await self.staging.stage(namespace, hit, self.reading.read)
        old = [hit.ref.name for hit in hits if hit is not None and hit.as_of is not None]
        assert {hit.as_of for hit in hits if hit is not None} <= {None, 7.0}
        return [hit.token if hit else None for hit in hits], old


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


def test_what_a_narrower_store_said_stands_behind_what_a_wider_one_says_now(world: World) -> None:
    async def story() -> None:
        await world.look_up("a", "b")
        world.own.failing = DOWN
        world.common.put("b", b"new", DOMAIN)
        assert await world.look_up("a", "b") == (["token-1", "token-2"], ["a", "b"])

    asyncio.run(story())


def test_it_never_stands_for_absence(world: World) -> None:
    async def story() -> None:
        assert await world.look_up("a", "nothing") == (["token-1", None], [])
        world.common.failing = DOWN
        assert await world.look_up("a") == (["token-1"], [])
        with pytest.raises(Unavailable):
            await world.look_up("a", "nothing")

    asyncio.run(story())


def test_a_spoilt_secret_of_a_store_that_is_well_is_refused(world: World) -> None:
    async def story() -> None:
        await world.look_up("a", "b")
        world.common.failing, world.own.failing = DOWN, Spoilt("spoilt")
        with pytest.raises(Spoilt):
            await world.look_up("a", "b")

    asyncio.run(story())


def test_what_any_scope_saw_replaced_or_gone_is_given_to_none(world: World) -> None:
    """What is remembered is the secret, whoever looked, in whatever scope and for whichever field."""
    bank = Scope("flyte", "production", "bank")

    async def story() -> None:
        await world.look_up("b")
        world.common.put("b", b"new", DOMAIN)
        [seen] = await world.reading.resolve(bank, (Selector("b", field="f"),))
        assert seen is not None
        assert seen.token == "token-2"
        world.common.failing = DOWN
        [hit] = await world.reading.resolve(SHOP, (Selector("b"),))
        assert hit is not None
        assert (hit.token, hit.as_of) == ("token-2", 7.0)
        with pytest.raises(Unavailable):  # it isn't staged
            await world.look_up("b")
        world.common.failing = None
        world.common.values.clear()
        await world.reading.resolve(bank, (Selector("b"),))
        world.common.failing = DOWN
        with pytest.raises(Unavailable):
            await world.reading.resolve(SHOP, (Selector("b"),))

    asyncio.run(story())


def test_with_a_maximum_staleness_it_is_as_old_as_the_call_that_told() -> None:
    now = 0.0
    reader = RecordingReader()
    reader.put("a", b"x")
    options = ReadingOptions(max_staleness=50, last_known_good=60)
    store = StoreReading(
        store="s", reader=reader, options=options, clock=lambda: now, wall=lambda: 1000 + now
    )
    ref = SecretRef(SHOP, "a")

    async def story() -> None:
        nonlocal now
        await store.resolve([ref])
        now = 49.0
        await store.resolve([ref])  # remembered
        reader.failing = DOWN
        now = 59.0
        assert (await store.resolve([ref])).as_of == 1000.0
        now = 61.0
        with pytest.raises(Unavailable):
            await store.resolve([ref])

    asyncio.run(story())
    store.close()


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


def test_no_more_names_are_kept_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets_svc.data.store_reading.MAX_REMEMBERED", 100)
    reader = RecordingReader()
    refs = [SecretRef(SHOP, f"n-{number}") for number in range(101)]
    for ref in refs:
        reader.put(ref.name, b"x")
    store = StoreReading(store="s", reader=reader, options=ReadingOptions(last_known_good=60))

    async def story() -> None:
        assert len(await store.resolve(refs)) == 101
        reader.failing = DOWN
        assert (await store.resolve(refs[-1:])).as_of is not None
        with pytest.raises(Unavailable):
            await store.resolve(refs[:1])

    asyncio.run(story())
    store.close()
