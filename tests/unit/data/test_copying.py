"""Copies between stores: what reads back otherwise, vanishes or fails on the way is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from secrets_svc.backends.memory import MAX_VALUE, MemoryReader, MemoryStore
from secrets_svc.core.errors import (
    Changed,
    Conflict,
    NotFound,
    SecretsError,
    Spoilt,
    Throttled,
    Unavailable,
)
from secrets_svc.core.ports import Capabilities, Page, Resolved, SecretVersion
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data import copying
from secrets_svc.data.copying import Copied, Copier, Outcome, Waiting, pages_of
from secrets_svc.data.store_reading import ReadingOptions, StoreReading
from secrets_svc.data.writing import ValidatedWriter

SCOPE = Scope("flyte", "production", "shop")
REF = SecretRef(SCOPE, "key")
CAPABILITIES = Capabilities(max_value=MAX_VALUE, inline=True)


class Reader(MemoryReader):
    """Of a store; ``before_read`` and ``lie`` are a test's."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.before_read: list[Callable[[], object]] = []
        self.lie: bytes | None = None
        self.blind = False

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        return {} if self.blind else super().resolve(refs)  # type: ignore[arg-type]

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        if self.before_read:
            self.before_read.pop(0)()
        found = super().read(ref, token)
        if self.lie is None:
            return found
        return SecretVersion(ref, found.token, found.type, SecretValue(self.lie))


class World:
    """Two stores and a copier between them."""

    def __init__(self) -> None:
        self.here, self.there = MemoryStore(), MemoryStore()
        self.source, self.target = Reader(self.here), Reader(self.there)
        self.writer = ValidatedWriter(writer=self.there.writer(), capabilities=CAPABILITIES, store="there")
        self._opened = ExitStack()
        self.inline = True

    def copier(self, **more: Any) -> Copier:
        readings = [
            StoreReading(store=name, reader=reader, options=ReadingOptions(inline=self.inline))
            for name, reader in (("here", self.source), ("there", self.target))
        ]
        for reading in readings:
            self._opened.callback(reading.close)
        return Copier(*readings, self.writer, "user:t", **more)

    def copy(self, ref: SecretRef = REF, **more: Any) -> Copied:
        return asyncio.run(self.copier(**more).copy(ref))

    def copy_all(self, waiting: Waiting, at_once: int = 1) -> list[Copied]:
        came: list[Copied] = []
        asyncio.run(self.copier().copy_all(waiting, at_once=at_once, each=came.append))
        return came

    def close(self) -> None:
        self._opened.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    put(made.here)
    yield made
    made.close()


def put(
    store: MemoryStore, ref: SecretRef = REF, data: bytes = b"value", type: SecretType = SecretType.GENERIC
) -> SecretMetadata:
    return store.writer().create(
        ref, SecretValue(data), type, actor="t", operation_id=f"{id(store)} {ref} {data!r}"
    )


def change(store: MemoryStore, data: bytes) -> None:
    store.writer().update(REF, SecretValue(data), actor="t", operation_id=f"change {data!r}")


def remove(store: MemoryStore) -> None:
    store.writer().delete(REF, actor="t", operation_id="remove")


def value_there(world: World) -> bytes:
    return world.there.secrets[REF][1].reveal_bytes()


def test_a_copy_that_reads_back_otherwise_is_a_failure(world: World) -> None:
    world.target.lie = b"something else"
    came = world.copy()
    assert came.outcome is Outcome.FAILED
    assert isinstance(came.error, Unavailable)
    assert "does not read back as it was written" in came.error.message
    assert "something else" not in came.error.message


def test_one_that_is_never_seen_is_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "VERIFY", 0.2)
    world.target.blind = True
    came = world.copy()
    assert came.outcome is Outcome.FAILED
    assert isinstance(came.error, Unavailable)
    assert "can't be read back yet" in came.error.message


def test_one_that_is_seen_late_is_waited_for(world: World) -> None:
    def sees() -> None:
        world.target.blind = False

    world.target.blind = True

    async def later() -> Copied:
        asyncio.get_running_loop().call_later(0.3, sees)
        return await world.copier().copy(REF)

    assert asyncio.run(later()).outcome is Outcome.COPIED


def test_somebody_else_s_write_on_top_is_told_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads another version than was written: then the copy is a different one, which stays."""
    monkeypatch.setattr(copying, "VERIFY", 0.2)
    put_there = world.writer.create

    def and_another(*args: Any, **more: Any) -> SecretMetadata:
        made = put_there(*args, **more)
        change(world.there, b"theirs")
        return made

    monkeypatch.setattr(world.writer, "create", and_another)
    assert world.copy().outcome is Outcome.DIFFERENT
    assert value_there(world) == b"theirs"


def test_what_is_deleted_before_its_turn_is_gone(world: World) -> None:
    remove(world.here)
    assert world.copy().outcome is Outcome.GONE
    assert not world.there.secrets


def test_what_is_deleted_between_look_and_read_is_gone(world: World) -> None:
    world.source.before_read = [lambda: remove(world.here)]
    assert world.copy().outcome is Outcome.GONE
    assert not world.there.secrets


def test_what_changes_between_look_and_read_is_copied_as_it_is_then(world: World) -> None:
    world.source.before_read = [lambda: change(world.here, b"newer")]
    assert world.copy().outcome is Outcome.COPIED
    assert value_there(world) == b"newer"


def test_what_never_holds_still_is_told(world: World) -> None:
    def changed() -> None:
        raise Changed("again")

    world.source.before_read = [changed] * 50
    came = world.copy()
    assert came.outcome is Outcome.FAILED
    assert isinstance(came.error, Changed)


def test_a_type_is_not_overwritten(world: World) -> None:
    put(world.there, data=b'{"auths": {}}', type=SecretType.IMAGE_PULL)
    came = world.copy(overwrite=True)
    assert came.outcome is Outcome.FAILED
    assert isinstance(came.error, Conflict)
    assert "another type" in came.error.message


def test_overwriting_loses_nobody_s_write(world: World) -> None:
    """What was written since we looked isn't replaced unseen: it is looked at again."""
    put(world.there, data=b"old")
    update = world.writer.update
    raced = iter([True])

    def after_somebody(*args: Any, **more: Any) -> SecretMetadata:
        if next(raced, False):
            change(world.there, b"theirs")
        return update(*args, **more)

    world.writer.update = after_somebody  # type: ignore[method-assign]
    assert world.copy(overwrite=True).outcome is Outcome.REPLACED
    assert value_there(world) == b"value"


def pages(*sizes: int) -> Iterator[Page[SecretMetadata]]:
    """Pages of secrets, as a store tells of them."""
    store = MemoryStore()
    number = 0
    for at, size in enumerate(sizes):
        items = tuple(put(store, SecretRef(SCOPE, f"k{number + each}"), b"v") for each in range(size))
        number += size
        yield Page(items, None if at == len(sizes) - 1 else "more")


def waiting_for(world: World, *sizes: int) -> Waiting:
    for number in range(sum(sizes)):
        put(world.here, SecretRef(SCOPE, f"k{number}"), b"v")
    return Waiting(pages(*sizes), heard=lambda size: None)


@pytest.mark.parametrize("at_once", [1, 4])
def test_all_pages_are_copied(world: World, at_once: int) -> None:
    waiting = waiting_for(world, 3, 0, 5, 1)
    came = world.copy_all(waiting, at_once)
    assert sorted(each.ref.name for each in came) == [f"k{number}" for number in range(9)]
    assert {each.outcome for each in came} == {Outcome.COPIED}
    assert (waiting.listed, waiting.taken, waiting.is_whole) == (9, 9, True)


def test_a_page_is_asked_for_when_the_one_before_has_had_its_turn() -> None:
    heard: list[int] = []
    waiting = Waiting(pages(2, 2), heard=heard.append)

    async def take(count: int) -> None:
        for _ in range(count):
            assert await waiting.next() is not None

    asyncio.run(take(2))
    assert (heard, waiting.is_whole) == ([2], False)
    asyncio.run(take(1))
    assert (heard, waiting.is_whole) == ([2, 2], True)


def test_nothing_at_all_is_all(world: World) -> None:
    waiting = Waiting([], heard=lambda size: None)
    assert world.copy_all(waiting) == []
    assert waiting.is_whole


@pytest.mark.parametrize("error", [Unavailable("down"), Throttled("slow")])
def test_a_store_that_fails_stops_it_and_the_rest_is_left(world: World, error: SecretsError) -> None:
    def fail() -> None:
        raise error

    waiting = waiting_for(world, 3, 3)
    world.source.before_read = [lambda: None, fail]
    came = world.copy_all(waiting)
    assert [each.outcome for each in came] == [Outcome.COPIED, Outcome.FAILED]
    assert (waiting.listed, waiting.taken, waiting.is_whole) == (3, 2, False)


def test_a_secret_that_can_not_be_read_stops_nothing(world: World) -> None:
    def fail() -> None:
        raise Spoilt("it isn't as it was written")

    waiting = waiting_for(world, 3)
    world.source.before_read = [lambda: None, fail]
    came = world.copy_all(waiting)
    assert [each.outcome for each in came] == [Outcome.COPIED, Outcome.FAILED, Outcome.COPIED]
    assert waiting.is_whole


def two_to_copy(world: World) -> None:
    for number in range(2):
        put(world.here, SecretRef(SCOPE, f"k{number}"), b"v")


def both_are_there(world: World, came: list[Copied]) -> bool:
    """And told of, each once."""
    told = sorted(each.ref.name for each in came if each.outcome is Outcome.COPIED)
    return told == ["k0", "k1"] == sorted(ref.name for ref in world.there.secrets)


def test_a_listing_that_fails_half_way_is_raised_once_what_is_under_way_is_told(world: World) -> None:
    """One is copied, and asks for more in vain, while the other is in hand yet."""
    failed = threading.Event()

    def half() -> Iterator[Page[SecretMetadata]]:
        yield next(pages(2, 1))
        failed.set()
        raise Unavailable("down")

    def slowly() -> None:
        assert failed.wait(10)
        time.sleep(0.2)

    two_to_copy(world)
    world.inline = False
    world.source.before_read = [slowly]
    came: list[Copied] = []
    waiting = Waiting(half(), heard=lambda size: None)
    with pytest.raises(Unavailable, match="down"):
        asyncio.run(world.copier().copy_all(waiting, at_once=2, each=came.append))
    assert both_are_there(world, came)
    assert (waiting.listed, waiting.taken, waiting.is_whole) == (2, 2, False)


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_interruption_waits_for_what_is_under_way(world: World, at_once: int) -> None:
    """As at Ctrl-C, which cancels; what has no turn yet is left."""
    begun = threading.Semaphore(0)

    def slowly() -> None:
        begun.release()
        time.sleep(0.3)

    waiting = waiting_for(world, 5)
    world.inline = False
    world.source.before_read = [slowly] * at_once
    came: list[Copied] = []

    async def interrupted() -> None:
        task = asyncio.create_task(world.copier().copy_all(waiting, at_once=at_once, each=came.append))
        for _ in range(at_once):
            assert await asyncio.to_thread(begun.acquire, timeout=10)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupted())
    assert [each.outcome for each in came] == [Outcome.COPIED] * at_once
    assert sorted(each.ref.name for each in came) == sorted(ref.name for ref in world.there.secrets)


def test_whoever_hears_of_them_may_stop_it(world: World) -> None:
    """An audit record that can't be written, for one. Of what is under way it hears all the same."""
    deaf_by_now = threading.Event()
    came: list[Copied] = []

    def deaf(copied: Copied) -> None:
        came.append(copied)
        deaf_by_now.set()
        raise NotFound("no disk")

    def slowly() -> None:
        assert deaf_by_now.wait(10)
        time.sleep(0.2)

    two_to_copy(world)
    world.inline = False
    world.source.before_read = [slowly]
    waiting = Waiting(pages(2, 3), heard=lambda size: None)
    with pytest.raises(NotFound):
        asyncio.run(world.copier().copy_all(waiting, at_once=2, each=deaf))
    assert both_are_there(world, came)


def test_pages_are_the_writer_s_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_PAGE", 2)
    for number in range(5):
        put(world.there, SecretRef(SCOPE, f"k{number}"))
    found = list(pages_of(world.writer, SCOPE, exact=True))
    assert [len(page.items) for page in found] == [2, 2, 1]
    assert found[-1].cursor is None
