"""Shared fresh calls: no answer is older than its question, and no more calls than that takes (I7)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
import virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_svc.core.errors import SecretsError, Spoilt, Unavailable
from secrets_svc.data.sharing import SharedFreshCalls

KEYS = "abc"


@dataclass
class SlowStore:
    """Versions by key. A call sees them as they are when it begins, the oldest that any store may answer."""

    durations: list[float]
    failing: frozenset[int] = frozenset()
    versions: Counter[str] = field(default_factory=Counter)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    running: set[str] = field(default_factory=set)

    async def call(self, keys: tuple[str, ...]) -> dict[str, int]:
        number = len(self.calls)
        self.calls.append(keys)
        assert not self.running & set(keys), "two calls for one key at a time"
        self.running.update(keys)
        seen = {key: self.versions[key] for key in keys if self.versions[key]}
        try:
            await asyncio.sleep(self.durations[number % len(self.durations)])
        finally:
            self.running.difference_update(keys)
        if number in self.failing:
            raise Unavailable(f"call {number}")
        return seen

    def count(self, key: str) -> int:
        return sum(key in keys for keys in self.calls)


TIMES = st.integers(0, 40).map(lambda number: number / 4)
SOME_KEYS = st.sets(st.sampled_from(KEYS), min_size=1).map(sorted)


@settings(max_examples=200)
@given(
    durations=st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=1, max_size=6),
    writes=st.lists(st.tuples(TIMES, st.sampled_from(KEYS)), max_size=30),
    arrivals=st.lists(st.tuples(TIMES, SOME_KEYS, st.none() | TIMES), min_size=1, max_size=30),
    failing=st.frozensets(st.integers(0, 12), max_size=4),
)
def test_no_answer_is_older_than_its_question(
    durations: list[float],
    writes: list[tuple[float, str]],
    arrivals: list[tuple[float, list[str], float | None]],
    failing: frozenset[int],
) -> None:
    """Slow and failing calls, writes, arrivals and people who give up, in any order."""
    store = SlowStore(durations, failing)

    async def write(at: float, key: str) -> None:
        await asyncio.sleep(at)
        store.versions[key] += 1

    async def ask(calls: SharedFreshCalls[str, int], at: float, keys: list[str]) -> None:
        await asyncio.sleep(at)
        known = {key: store.versions[key] for key in keys}
        try:
            answer = await calls.get(keys)
        except Unavailable:
            return
        for key in keys:
            assert answer.get(key, 0) >= known[key]
            assert 0 not in answer.values()

    async def program() -> None:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)
        tasks = [asyncio.create_task(write(*each)) for each in writes]
        loop = asyncio.get_running_loop()
        for at, keys, patience in arrivals:
            task = asyncio.create_task(ask(calls, at, keys))
            tasks.append(task)
            if patience is not None:
                loop.call_at(at + patience, task.cancel)
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1000)
        wrong = [each for each in done if each is not None and not isinstance(each, asyncio.CancelledError)]
        assert not wrong
        await asyncio.sleep(100)  # calls that nobody waits for end too
        assert not store.running

    virtual_time.run(program())


@settings(max_examples=150)
@given(
    age=st.sampled_from([0.25, 1.0, 4.0]),
    durations=st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=1, max_size=6),
    writes=st.lists(st.tuples(TIMES, st.sampled_from(KEYS)), max_size=30),
    arrivals=st.lists(st.tuples(TIMES, SOME_KEYS), min_size=1, max_size=30),
)
def test_no_answer_is_older_than_was_allowed(
    age: float,
    durations: list[float],
    writes: list[tuple[float, str]],
    arrivals: list[tuple[float, list[str]]],
) -> None:
    store = SlowStore(durations)

    async def write(at: float, key: str) -> None:
        await asyncio.sleep(at)
        store.versions[key] += 1

    async def ask(calls: SharedFreshCalls[str, int], at: float, keys: list[str]) -> None:
        await asyncio.sleep(at)
        answer = await calls.get(keys, max_age=age)
        for key in keys:
            known = sum(1 for when, written in writes if written == key and when < at - age)
            assert answer.get(key, 0) >= known

    async def program() -> None:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)
        tasks = [write(*each) for each in writes] + [ask(calls, *each) for each in arrivals]
        await asyncio.wait_for(asyncio.gather(*tasks), 1000)

    virtual_time.run(program())


def test_who_may_be_told_something_older_shares_the_call_under_way() -> None:
    """While that is young enough; after that the next one is owed as ever."""
    store = SlowStore([3.0])

    async def program() -> None:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)

        async def ask(at: float) -> float:
            await asyncio.sleep(at)
            await calls.get(["a"], max_age=1.0)
            return asyncio.get_running_loop().time()

        assert await asyncio.gather(*map(ask, (0.0, 0.5, 1.0, 1.5))) == [3.0, 3.0, 3.0, 6.0]

    virtual_time.run(program())
    assert store.calls == [("a",), ("a",)]


@settings(max_examples=100)
@given(
    latency=st.sampled_from([0.5, 1.0, 2.0]),
    arrivals=st.lists(st.tuples(TIMES, SOME_KEYS), min_size=1, max_size=60),
)
def test_calls_of_a_key_are_bounded_by_time(latency: float, arrivals: list[tuple[float, list[str]]]) -> None:
    store = SlowStore([latency])

    async def ask(calls: SharedFreshCalls[str, int], at: float, keys: list[str]) -> None:
        await asyncio.sleep(at)
        await calls.get(keys)

    async def program() -> None:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)
        await asyncio.gather(*(ask(calls, at, keys) for at, keys in arrivals))

    virtual_time.run(program())
    times = {key: [at for at, keys in arrivals if key in keys] for key in KEYS}
    for key, asked in times.items():
        if asked:
            duration = max(asked) - min(asked)
            assert store.count(key) <= duration / latency + 2
            assert store.count(key) <= len(asked)


def test_a_thousand_at_once_cost_one_call_and_a_thousand_more_another() -> None:
    store = SlowStore([1.0])

    async def program() -> None:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)
        first = [asyncio.create_task(calls.get(["a"])) for _ in range(1000)]
        await asyncio.sleep(0.5)
        second = [asyncio.create_task(calls.get(["a"])) for _ in range(1000)]
        await asyncio.gather(*first, *second)

    virtual_time.run(program())
    # The first of the thousand starts a call before the others arrive: they share the next.
    assert store.calls == [("a",), ("a",)]


def test_keys_asked_for_at_once_travel_in_one_call() -> None:
    store = SlowStore([1.0])

    async def program() -> dict[str, int]:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)
        store.versions["b"] = 7
        return await calls.get(["a", "b", "a"])

    assert virtual_time.run(program()) == {"b": 7}
    assert store.calls == [("a", "b")]


@pytest.mark.parametrize("when", [0.1, 1.0, 1.5])
def test_who_gives_up_takes_nobody_with_him(when: float) -> None:
    """Also the one whose question started the call."""
    store = SlowStore([1.0])

    async def program() -> tuple[object, object]:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)
        store.versions["a"] = 1
        impatient = [asyncio.create_task(calls.get(["a"])) for _ in range(3)]
        patient = asyncio.create_task(calls.get(["a"]))
        await asyncio.sleep(when)
        for task in impatient:
            task.cancel()
        outcomes = await asyncio.gather(*impatient, return_exceptions=True)
        return outcomes, await asyncio.wait_for(patient, 10)

    outcomes, answer = virtual_time.run(program())
    assert answer == {"a": 1}
    assert outcomes is not None


def test_an_error_goes_to_all_who_share_it_and_to_nobody_after() -> None:
    store = SlowStore([1.0], failing=frozenset({0}))

    async def program() -> None:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)
        store.versions["a"] = 1

        async def both() -> object:
            return await calls.get(["a", "b"])

        first = asyncio.create_task(both())
        await asyncio.sleep(0.5)
        second = asyncio.create_task(both())
        with pytest.raises(SecretsError, match="call 0"):
            await first
        assert await second == {"a": 1}
        assert await calls.get(["a"]) == {"a": 1}

    virtual_time.run(program())
    assert len(store.calls) == 3


def test_what_is_wrong_with_one_key_is_told_to_those_alone_who_asked_for_it() -> None:
    """Keys of several who ask travel together; nobody hears of another's, and a neighbour's can't harm."""
    asked: list[tuple[str, ...]] = []

    async def call(keys: tuple[str, ...]) -> dict[str, str]:
        asked.append(keys)
        await asyncio.sleep(0)
        if "spoilt" in keys:
            raise Spoilt('secret "spoilt" is spoilt')
        return {key: key.upper() for key in keys if key != "absent"}

    async def story() -> None:
        calls = SharedFreshCalls(call)
        first = asyncio.create_task(calls.get(["a", "b", "spoilt"]))  # all others are owed the next
        await asyncio.sleep(0)
        good = [asyncio.create_task(calls.get(["a", "b", "absent"])) for _ in range(2)]
        bad = asyncio.create_task(calls.get(["a", "spoilt"]))
        for task in (first, bad):
            with pytest.raises(Spoilt):
                await task
        for task in good:
            assert await task == {"a": "A", "b": "B"}

    asyncio.run(story())
    assert len(asked) <= 4 + 6


def test_an_error_of_one_key_is_no_absence_of_another() -> None:
    """Keys of one question may travel in two calls; one failing fails the question."""
    store = SlowStore([1.0], failing=frozenset({0}))

    async def program() -> None:
        calls: SharedFreshCalls[str, int] = SharedFreshCalls(store.call)
        doomed = asyncio.create_task(calls.get(["a"]))
        await asyncio.sleep(0.5)
        # "a" waits for its next call, "b" starts at once.
        mixed = asyncio.create_task(calls.get(["a", "b"]))
        with pytest.raises(Unavailable):
            await doomed
        assert await mixed == {}

    virtual_time.run(program())
    assert store.calls == [("a",), ("b",), ("a",)]
