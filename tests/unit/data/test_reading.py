"""Reading along the scope chain: absent is not failed (I4), and fresh (I7)."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from secrets_svc.backends.memory import MemoryReader, MemoryStore
from secrets_svc.core.errors import Changed, DeadlineExceeded, Unavailable
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType, Selector
from secrets_svc.core.value import SecretValue
from secrets_svc.data.health import THRESHOLD
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.store_reading import ReadingOptions, StoreReading

NARROW = Scope("flyte", "production", "shop")
PROJECT = Scope("flyte", project="shop")
DOMAIN = Scope("flyte", domain="production")
WIDE = Scope("flyte")
INLINE = ReadingOptions(inline=True)


def select(*names: str) -> tuple[Selector, ...]:
    return tuple(Selector(name) for name in names)


@dataclass
class WatchedReader:
    """A memory store's reader behind faults and delays."""

    reader: MemoryReader
    delay: float = 0.0
    broken: Scope | None = None
    asked: list[frozenset[SecretRef]] = field(default_factory=list)

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        refs = frozenset(refs)
        self.asked.append(refs)
        if any(ref.scope == self.broken for ref in refs):
            raise Unavailable("that shelf can't be reached")
        found = self.reader.resolve(refs)
        time.sleep(self.delay)
        return found

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        time.sleep(self.delay)
        return self.reader.read(ref, token)

    def close(self) -> None:
        self.reader.close()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def put(store: MemoryStore, scope: Scope, name: str, value: bytes) -> str:
    made = store.writer().create(
        SecretRef(scope, name),
        SecretValue(value),
        SecretType.GENERIC,
        actor="t",
        operation_id=f"{scope} {name}",
    )
    return made.version


def reading(reader: WatchedReader, options: ReadingOptions = INLINE, **more: object) -> ScopedReading:
    return ScopedReading.of(StoreReading(store="s", reader=reader, options=options, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("present", "winner"),
    [
        ([WIDE], WIDE),
        ([WIDE, DOMAIN], DOMAIN),
        ([WIDE, DOMAIN, PROJECT], PROJECT),
        ([WIDE, DOMAIN, PROJECT, NARROW], NARROW),
        ([WIDE, NARROW], NARROW),
        ([], None),
    ],
)
def test_the_narrowest_that_is_there_wins(
    store: MemoryStore, present: list[Scope], winner: Scope | None
) -> None:
    for scope in present:
        put(store, scope, "key", b"x")
    reader = WatchedReader(store.reader())
    [hit] = asyncio.run(reading(reader).resolve(NARROW, select("key")))
    assert (hit.ref.scope if hit else None) == winner
    assert len(reader.asked) == 1  # all names and scopes at once


def test_nothing_outside_the_chain_is_seen(store: MemoryStore) -> None:
    for scope in (Scope("flyte", "staging", "shop"), Scope("flyte", project="mail"), Scope("other")):
        put(store, scope, "key", b"x")
    assert asyncio.run(reading(WatchedReader(store.reader())).resolve(NARROW, select("key"))) == (None,)


def test_answers_come_in_the_order_of_the_names(store: MemoryStore) -> None:
    put(store, WIDE, "a", b"x")
    put(store, NARROW, "c", b"x")
    hits = asyncio.run(reading(WatchedReader(store.reader())).resolve(NARROW, select("c", "b", "a")))
    assert [hit.ref.name if hit else None for hit in hits] == ["c", None, "a"]


@pytest.mark.parametrize("options", [INLINE, ReadingOptions(), ReadingOptions(inline=True, max_staleness=60)])
@pytest.mark.parametrize("broken", [NARROW, PROJECT, WIDE])
def test_a_failing_store_is_never_absence(store: MemoryStore, options: ReadingOptions, broken: Scope) -> None:
    put(store, DOMAIN, "key", b"x")
    reader = WatchedReader(store.reader(), broken=broken)
    chain = reading(reader, options)

    async def twice() -> None:
        for _ in range(2 if options.inline else 1):  # more would have the store left alone for a while
            with pytest.raises(Unavailable):
                await chain.resolve(NARROW, select("key"))
        reader.broken = None
        [hit] = await chain.resolve(NARROW, select("key"))  # nothing of the failure is remembered
        assert hit is not None

    asyncio.run(twice())
    chain.close()


class StatefulReader(WatchedReader):
    """Tells its state, and counts how often it is asked for."""

    told = 0
    writes = 0

    def state(self) -> int:
        self.told += 1
        if self.broken is not None:
            raise Unavailable("the store can't be reached")
        return self.writes


def test_a_moment_asks_for_the_state_once_and_only_when_it_is_needed(store: MemoryStore) -> None:
    put(store, NARROW, "key", b"x")
    reader = StatefulReader(store.reader())
    chain = reading(reader)
    chain.moment()
    assert reader.told == 0
    for _ in range(3):
        moment = chain.moment()
        for names in (("key",), ("key", "other"), ("key",)):
            hits = moment.resolve(NARROW, select(*names))
            assert hits is not None
            assert [hit is not None for hit in hits] == [name == "key" for name in names]
    assert reader.told == 3
    assert len(reader.asked) == 2  # nobody wrote: once for each question


def test_a_moment_after_a_write_sees_it(store: MemoryStore) -> None:
    reader = StatefulReader(store.reader())
    chain = reading(reader)
    assert chain.moment().resolve(NARROW, select("key")) == (None,)
    token = put(store, DOMAIN, "key", b"x")
    reader.writes += 1
    hits = chain.moment().resolve(NARROW, select("key"))
    assert hits is not None
    assert hits[0] is not None
    assert hits[0].token == token


def test_a_write_between_the_state_and_the_look_up_is_not_forgotten(store: MemoryStore) -> None:
    """What was looked up counts for the state that was told before: the next moment looks again."""
    reader = StatefulReader(store.reader())
    chain = reading(reader)
    early = chain.moment()
    early.resolve(NARROW, select("another"))  # the state is told
    put(store, DOMAIN, "key", b"1")
    reader.writes += 1
    early.resolve(NARROW, select("key"))
    store.writer().delete(SecretRef(DOMAIN, "key"), actor="t", operation_id="d")
    reader.writes += 1
    assert chain.moment().resolve(NARROW, select("key")) == (None,)


def test_a_reader_that_tells_no_state_is_asked_every_time(store: MemoryStore) -> None:
    reader = WatchedReader(store.reader())
    chain = reading(reader)
    for _ in range(3):
        assert chain.moment().resolve(NARROW, select("key")) == (None,)
    assert len(reader.asked) == 3


@pytest.mark.parametrize("options", [ReadingOptions(), ReadingOptions(inline=True, max_staleness=60)])
def test_what_takes_waiting_or_may_be_old_is_not_for_moments(
    store: MemoryStore, options: ReadingOptions
) -> None:
    chain = reading(StatefulReader(store.reader()), options)
    assert chain.moment().resolve(NARROW, select("key")) is None
    chain.close()


def test_a_state_that_can_not_be_told_is_a_failure_and_no_answer(store: MemoryStore) -> None:
    reader = StatefulReader(store.reader())
    chain = reading(reader)
    assert chain.moment().resolve(NARROW, select("key")) == (None,)
    assert chain.is_answering()
    reader.broken = NARROW
    with pytest.raises(Unavailable):
        chain.moment().resolve(NARROW, select("key"))
    assert not chain.is_answering()


def test_an_answer_may_serve_again_for_as_long_as_the_operator_says(store: MemoryStore) -> None:
    now = [100.0]
    reader = WatchedReader(store.reader())
    chain = reading(reader, ReadingOptions(inline=True, max_staleness=10), clock=lambda: now[0])

    async def token(name: str = "key") -> str | None:
        [hit] = await chain.resolve(NARROW, select(name))
        return hit.token if hit else None

    async def story() -> None:
        assert await token() is None  # absence is an answer too
        first = put(store, WIDE, "key", b"1")
        now[0] += 10
        assert await token() is None
        now[0] += 0.001
        assert await token() == first
        second = put(store, NARROW, "key", b"2")
        assert await token() == first
        now[0] += 10.001
        assert await token() == second

    asyncio.run(story())
    assert len(reader.asked) == 3


def test_staleness_counts_from_the_question_and_not_from_the_answer(store: MemoryStore) -> None:
    now = [0.0]

    class Slow(WatchedReader):
        def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
            found = super().resolve(refs)
            now[0] += 6
            return found

    reader = Slow(store.reader())
    chain = reading(reader, ReadingOptions(inline=True, max_staleness=10), clock=lambda: now[0])

    async def story() -> None:
        await chain.resolve(NARROW, select("key"))  # asked at 0, answered at 6
        put(store, NARROW, "key", b"x")
        now[0] = 10.5
        assert await chain.resolve(NARROW, select("key")) != [None]

    asyncio.run(story())


def test_only_what_is_not_known_is_asked_for(store: MemoryStore) -> None:
    reader = WatchedReader(store.reader())
    chain = reading(reader, ReadingOptions(inline=True, max_staleness=10), clock=lambda: 0.0)

    async def story() -> None:
        await chain.resolve(NARROW, select("a"))
        await chain.resolve(NARROW, select("a", "b"))

    asyncio.run(story())
    assert {ref.name for ref in reader.asked[1]} == {"b"}


def test_a_store_that_hangs_is_given_up_in_time(store: MemoryStore) -> None:
    reader = WatchedReader(store.reader(), delay=3)
    chain = reading(reader, ReadingOptions(deadline=0.1))

    async def story() -> None:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r'store "s" did not answer within 0.1 s'):
            await chain.resolve(NARROW, select("a"))
        assert time.monotonic() - started < 2

    asyncio.run(story())
    chain.close()


def test_a_slow_call_is_one_failure_however_many_wait_for_it(store: MemoryStore) -> None:
    chain = reading(WatchedReader(store.reader(), delay=1), ReadingOptions(deadline=0.1))

    async def story() -> None:
        asks = [chain.resolve(NARROW, select("a")) for _ in range(20)]
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert {type(result) for result in results} == {DeadlineExceeded}

    asyncio.run(story())
    assert chain.states() == {"s": "closed"}
    chain.close()


def test_what_waits_for_a_thread_of_ours_says_nothing_about_the_store(store: MemoryStore) -> None:
    reader = WatchedReader(store.reader(), delay=1)
    chain = reading(reader, ReadingOptions(deadline=0.2, threads=1))

    async def story() -> None:
        asks = [chain.resolve(NARROW, select(f"n-{number}")) for number in range(30)]
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert {type(result) for result in results} == {DeadlineExceeded}

    asyncio.run(story())
    assert len(reader.asked) == 1
    assert chain.states() == {"s": "closed"}
    chain.close()


def test_a_slow_read_counts_too(store: MemoryStore) -> None:
    put(store, NARROW, "a", b"x")
    reader = WatchedReader(store.reader())
    chain = reading(reader, ReadingOptions(deadline=0.1))

    async def story() -> None:
        [hit] = await chain.resolve(NARROW, select("a"))
        assert hit is not None
        reader.delay = 0.5
        for _ in range(THRESHOLD):
            with pytest.raises(DeadlineExceeded):
                await chain.read(hit)

    asyncio.run(story())
    assert chain.states() == {"s": "open"}
    chain.close()


def test_when_a_break_is_over_it_is_worth_asking(store: MemoryStore) -> None:
    """Else whoever is told not to send pods here would never send the one that finds it well."""
    reader = WatchedReader(store.reader(), broken=NARROW)
    chain = reading(reader, ReadingOptions())

    async def story() -> None:
        while chain.is_answering():
            with pytest.raises(Unavailable):
                await chain.resolve(NARROW, select("a"))
        while not chain.is_answering():
            await asyncio.sleep(0.02)
        assert chain.states() == {"s": "half-open"}
        reader.broken = None
        assert await chain.resolve(NARROW, select("a")) == (None,)
        assert chain.states() == {"s": "closed"}

    asyncio.run(asyncio.wait_for(story(), 30))
    chain.close()


def test_reading_follows_writes_and_gives_up_when_they_do_not_end(store: MemoryStore) -> None:
    put(store, NARROW, "key", b"0")
    writer, ref = store.writer(), SecretRef(NARROW, "key")

    class Racing(WatchedReader):
        writes = 2

        def read(self, ref: SecretRef, token: str) -> SecretVersion:
            if self.writes:
                self.writes -= 1
                value = SecretValue(b"new %d" % self.writes)
                writer.update(ref, value, actor="t", operation_id=f"race {random.random()}")
            return super().read(ref, token)

    async def read(reader: WatchedReader) -> bytes | None:
        found = await reading(reader).resolve_and_read(NARROW, Selector("key"))
        return found.value.reveal_bytes() if found else None

    assert asyncio.run(read(Racing(store.reader()))) == b"new 0"
    endless = Racing(store.reader())
    endless.writes = 100
    with pytest.raises(Changed):
        asyncio.run(read(endless))
    writer.delete(ref, actor="t", operation_id="gone")
    assert asyncio.run(read(WatchedReader(store.reader()))) is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_answer_is_stale_while_people_write(store: MemoryStore, seed: int) -> None:
    """Threads, slow calls, writes and arrivals interleaved: answers show all writes before their question."""
    chance = random.Random(seed)
    names = ("a", "b", "c")
    acknowledged: dict[str, list[str]] = {name: [put(store, WIDE, name, b"0")] for name in names}
    stop = threading.Event()

    def write_on() -> None:
        writer, pace = store.writer(), random.Random(seed + 100)
        for number in range(2000):
            if stop.is_set():
                return
            name = pace.choice(names)
            made = writer.update(
                SecretRef(WIDE, name), SecretValue(b"%d" % number), actor="t", operation_id=f"w{number}"
            )
            acknowledged[name].append(made.version)
            time.sleep(pace.random() * 0.002)

    async def ask(chain: ScopedReading) -> tuple[dict[str, int], list[Resolved | None], tuple[str, ...]]:
        await asyncio.sleep(chance.random())
        asked = tuple(chance.sample(names, chance.randint(1, 3)))
        return (
            {name: len(acknowledged[name]) - 1 for name in asked},
            await chain.resolve(NARROW, select(*asked)),
            asked,
        )

    async def story() -> list[tuple[dict[str, int], list[Resolved | None], tuple[str, ...]]]:
        reader = WatchedReader(store.reader(), delay=0.01)
        chain = reading(reader, ReadingOptions(deadline=5))
        try:
            return await asyncio.gather(*(ask(chain) for _ in range(300)))
        finally:
            chain.close()

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        answers = asyncio.run(story())
    finally:
        stop.set()
        thread.join()
    for known, hits, asked in answers:
        for name, hit in zip(asked, hits, strict=True):
            assert hit is not None
            assert acknowledged[name].index(hit.token) >= known[name]
