"""One chain over several stores: who may fail for whom, and who waits for whom."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable

import pytest

from secrets_svc.backends.memory import MemoryStore
from secrets_svc.core.errors import InvalidArgument, SecretsError, Unavailable, Unsupported
from secrets_svc.core.ports import Capabilities, Resolved, SecretVersion
from secrets_svc.core.routing import Route, Routes
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType, Selector
from secrets_svc.core.value import SecretValue
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.retrying import RetryingWriter
from secrets_svc.data.store_reading import ReadingOptions, StoreReading
from secrets_svc.data.writing import RoutedWriter, ValidatedWriter

NARROW = Scope("flyte", "production", "shop")
DOMAIN = Scope("flyte", domain="production")
#: Scopes of project shop are in store "own", all others in "common".
ROUTES = Routes([Route("own", project="shop"), Route("common")])


def select(*names: str) -> tuple[Selector, ...]:
    return tuple(Selector(name) for name in names)


class Reader:
    """A memory store's reader that can hang, fail, and fail a number of times."""

    def __init__(self, store: MemoryStore) -> None:
        self._reader = store.reader()
        self.hangs = threading.Event()
        self.failures: list[SecretsError] = []
        self.calls = 0

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        self.calls += 1
        if self.hangs.is_set():
            time.sleep(1.5)
        if self.failures:
            raise self.failures.pop(0)
        return self._reader.resolve(refs)

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        return self._reader.read(ref, token)

    def close(self) -> None:
        self._reader.close()


class World:
    def __init__(self, *, inline: bool = False) -> None:
        self.stores = {name: MemoryStore() for name in ("own", "common")}
        self.readers = {name: Reader(store) for name, store in self.stores.items()}
        options = ReadingOptions(inline=inline, deadline=1.0)
        self.reading = ScopedReading(
            {
                name: StoreReading(store=name, reader=reader, options=options)
                for name, reader in self.readers.items()
            },
            ROUTES,
        )
        capabilities = Capabilities(max_value=64)
        self.writer = RoutedWriter(
            {
                name: ValidatedWriter(writer=store.writer(), capabilities=capabilities, store=name)
                for name, store in self.stores.items()
            },
            ROUTES,
        )

    def put(self, scope: Scope, name: str = "key") -> None:
        ref = SecretRef(scope, name)
        self.writer.create(
            ref, SecretValue(b"x"), SecretType.GENERIC, actor="t", operation_id=f"{scope} {name}"
        )

    def resolve(self, *names: str) -> list[Scope | None]:
        hits = asyncio.run(self.reading.resolve(NARROW, select(*(names or ("key",)))))
        return [hit.ref.scope if hit else None for hit in hits]


@pytest.fixture
def world() -> Iterable[World]:
    made = World()
    yield made
    made.reading.close()


def test_the_narrowest_wins_across_stores(world: World) -> None:
    world.put(DOMAIN)
    assert world.resolve() == [DOMAIN]
    world.put(NARROW)
    assert world.resolve() == [NARROW]
    assert world.resolve("key", "none") == [NARROW, None]
    assert world.reading.stores_of(NARROW) == "own, common"


def test_the_value_comes_from_the_store_of_its_scope(world: World) -> None:
    world.put(DOMAIN)
    found = asyncio.run(world.reading.resolve_and_read(NARROW, Selector("key")))
    assert found is not None
    assert found.ref.scope == DOMAIN


def test_a_wider_store_that_fails_or_hangs_keeps_nothing_from_a_narrower_one(world: World) -> None:
    world.put(NARROW)
    world.readers["common"].failures = [Unavailable("down")] * 3
    assert world.resolve() == [NARROW]
    world.readers["common"].hangs.set()
    began = time.monotonic()
    assert world.resolve() == [NARROW]
    assert time.monotonic() - began < 0.9


def test_a_narrower_store_that_fails_is_never_absence(world: World) -> None:
    world.put(DOMAIN)
    world.readers["own"].failures = [Unavailable("down")] * 3
    with pytest.raises(Unavailable) as failed:
        world.resolve()
    assert failed.value.store == "own"
    assert world.resolve() == [DOMAIN]


def test_where_nothing_is_found_all_must_have_said_so(world: World) -> None:
    world.readers["common"].failures = [Unavailable("down")] * 3
    with pytest.raises(Unavailable) as failed:
        world.resolve()
    assert failed.value.store == "common"


def test_one_failure_is_tried_again(world: World) -> None:
    world.put(NARROW)
    world.readers["own"].failures = [Unavailable("once")]
    assert world.resolve() == [NARROW]
    assert world.readers["own"].calls == 2


def test_a_store_that_keeps_failing_is_left_alone_and_shown(world: World) -> None:
    world.readers["own"].failures = [Unavailable("down")] * 100
    for _ in range(20):
        with pytest.raises(Unavailable):
            world.resolve()
    assert world.readers["own"].calls < 10
    assert world.reading.states() == {"own": "open", "common": "closed"}
    assert world.reading.is_answering()


def test_moments_see_all_stores() -> None:
    world = World(inline=True)
    world.put(DOMAIN)
    moment = world.reading.moment()
    hits = moment.resolve(NARROW, select("key"))
    assert hits is not None
    assert hits[0] is not None
    assert hits[0].ref.scope == DOMAIN


def test_writes_go_to_the_store_of_the_scope(world: World) -> None:
    world.put(NARROW)
    world.put(DOMAIN)
    for name, scope in (("own", NARROW), ("common", DOMAIN)):
        listed = world.stores[name].writer().list(Scope("flyte")).items
        assert [item.ref.scope for item in listed] == [scope]
    world.writer.delete(SecretRef(DOMAIN, "key"), actor="t", operation_id="d")
    assert world.resolve() == [NARROW]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_listings_go_through_all_stores_page_by_page(world: World, limit: int) -> None:
    for number in range(5):
        world.put(NARROW, f"a{number}")
        world.put(DOMAIN, f"b{number}")
    foreign = world.stores["common"].writer()  # no pod gets what lies in the wrong store
    foreign.create(
        SecretRef(NARROW, "lost"), SecretValue(b"x"), SecretType.GENERIC, actor="t", operation_id="f"
    )
    seen: list[str] = []
    cursor = None
    while True:
        page = world.writer.list(Scope("flyte"), limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        seen += [item.ref.name for item in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"a{number}" for number in range(5)] + [f"b{number}" for number in range(5)]
    assert [item.ref.name for item in world.writer.list(DOMAIN, exact=True).items] == seen[5:]


@pytest.mark.parametrize("cursor", ["", "other/x", "own", "own/!", "/"])
def test_a_cursor_of_ones_own_making_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(InvalidArgument):
        world.writer.list(Scope("flyte"), cursor=cursor)


class HangingWriter:
    """Its ``describe`` waits until it may go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def describe(self, ref: SecretRef) -> None:
        self.go_on.wait(10)
        raise Unsupported("never mind")


def test_a_store_that_hangs_takes_so_many_threads_and_no_more() -> None:
    inner = HangingWriter()
    writer = RetryingWriter(store="s", writer=inner, at_once=3)  # type: ignore[arg-type]

    def call() -> None:
        with pytest.raises(Unsupported):
            writer.describe(SecretRef(NARROW, "key"))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 5
        while writer._places._value and time.monotonic() < deadline:  # type: ignore[attr-defined]
            time.sleep(0.01)
        with pytest.raises(Unavailable, match='store "s" is busy'):
            writer.describe(SecretRef(NARROW, "key"))
    finally:
        inner.go_on.set()
        for thread in threads:
            thread.join()
    call()
