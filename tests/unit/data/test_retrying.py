"""Writes to a store that fails: tried again where that is safe, and over in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from secrets_svc.backends.memory import MemoryStore
from secrets_svc.core import deadline
from secrets_svc.core.errors import (
    AlreadyExists,
    Conflict,
    DeadlineExceeded,
    NotFound,
    SecretsError,
    Throttled,
    Unavailable,
)
from secrets_svc.core.ports import SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.health import ATTEMPTS, THRESHOLD
from secrets_svc.data.retrying import RetryingWriter

REF = SecretRef(Scope("flyte", "production", "shop"), "key")
DOWN = Unavailable("down")


class Unlucky:
    """Around a store's writer: its calls come to ``failures`` in turn, before or after they are done."""

    def __init__(self, inner: SecretWriter, *failures: SecretsError, afterwards: bool = False) -> None:
        self._inner = inner
        self.failures = list(failures)
        self._afterwards = afterwards
        self.operations: list[str | None] = []

    def close(self) -> None:
        """See the port."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._inner, name)

        def wrapped(*args: Any, **more: Any) -> Any:
            self.operations.append(more.get("operation_id"))
            if self.failures and not self._afterwards:
                raise self.failures.pop(0)
            result = call(*args, **more)
            if self.failures:
                raise self.failures.pop(0)
            return result

        return wrapped


Opener = Callable[..., RetryingWriter]


@pytest.fixture
def opened() -> Iterator[Opener]:
    made: list[RetryingWriter] = []

    def open_(writer: Any, **more: Any) -> RetryingWriter:
        made.append(RetryingWriter(store="s", writer=writer, at_once=4, **more))
        return made[-1]

    yield open_
    for each in made:
        each.close()


def create(writer: SecretWriter, operation: str = "one") -> str:
    return writer.create(
        REF, SecretValue(b"x"), SecretType.GENERIC, actor="t", operation_id=operation
    ).version


@pytest.mark.parametrize("afterwards", [False, True], ids=["before it was done", "after it was done"])
@pytest.mark.parametrize("error", [DOWN, Throttled("slow")])
def test_a_write_that_fails_once_is_done_once(opened: Opener, error: SecretsError, afterwards: bool) -> None:
    store = MemoryStore()
    inner = Unlucky(store.writer(), error, afterwards=afterwards)
    writer = opened(inner)
    version = create(writer)
    assert inner.operations == ["one", "one"]
    assert writer.describe(REF).version == version
    assert writer.health.retried == 1


def test_every_write_is_tried_again_with_its_own_operation_id(opened: Opener) -> None:
    inner = Unlucky(MemoryStore().writer())
    writer = opened(inner)
    create(writer, "a")
    calls: list[Callable[[], object]] = [
        lambda: writer.update(REF, SecretValue(b"y"), actor="t", operation_id="b"),
        lambda: writer.delete(REF, actor="t", operation_id="c"),
        lambda: writer.list(REF.scope),
    ]
    for call in calls:
        inner.failures = [DOWN]
        call()
    assert inner.operations == ["a", "b", "b", "c", "c", None, None]


@pytest.mark.parametrize("error", [Conflict("x"), AlreadyExists("x"), NotFound("x"), DeadlineExceeded("x")])
def test_what_would_fail_again_or_may_be_under_way_yet_is_not_repeated(
    opened: Opener, error: SecretsError
) -> None:
    inner = Unlucky(MemoryStore().writer(), error)
    with pytest.raises(type(error)) as refused:
        create(opened(inner))
    assert refused.value.store == "s"
    assert inner.operations == ["one"]


def test_tries_come_to_an_end(opened: Opener) -> None:
    inner = Unlucky(MemoryStore().writer(), *[DOWN] * 10)
    with pytest.raises(Unavailable, match="down"):
        create(opened(inner))
    assert len(inner.operations) == ATTEMPTS


class Slow:
    """A store each of whose calls takes that long, and a write takes several, until nobody waits any more."""

    def __init__(self, *, calls: int, seconds: float) -> None:
        self._calls = calls
        self._seconds = seconds
        self.done = 0
        self.ended = threading.Event()

    def close(self) -> None:
        """See the port."""

    def describe(self, ref: SecretRef) -> None:
        """As a backend does it: each call looks at the time that is left."""
        try:
            for _ in range(self._calls):
                if not deadline.within(3.0):
                    raise DeadlineExceeded("no time left")
                time.sleep(self._seconds)
                self.done += 1
        finally:
            self.ended.set()


def test_calls_that_are_each_in_time_don_t_add_up_beyond_the_deadline(opened: Opener) -> None:
    inner = Slow(calls=40, seconds=0.05)
    writer = opened(inner, deadline=0.3)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="no time left"):
        writer.describe(REF)
    assert time.monotonic() - began < 0.3 + 0.5
    assert inner.done <= 8


def test_a_call_that_heeds_no_deadline_is_given_up_and_keeps_its_place(opened: Opener) -> None:
    go_on = threading.Event()

    class Stuck:
        def close(self) -> None:
            pass

        def describe(self, ref: SecretRef) -> str:
            go_on.wait(30)
            return "late"

    writer = opened(Stuck(), deadline=0.1)
    try:
        began = time.monotonic()
        for _ in range(4):
            with pytest.raises(DeadlineExceeded, match=r'store "s" had not finished within 0\.1 s') as late:
                writer.describe(REF)
            assert late.value.store == "s"
        assert time.monotonic() - began < 4 * (0.1 + 0.5) + 2
        with pytest.raises(Unavailable, match="busy"):
            writer.describe(REF)
    finally:
        go_on.set()
    end = time.monotonic() + 5
    while writer._places._value < 4 and time.monotonic() < end:
        time.sleep(0.01)
    writer.describe(REF)  # the places are free again


def test_a_call_that_hangs_counts_once(opened: Opener) -> None:
    """When it is given up, and not again when it comes back."""
    go_on = threading.Event()
    came_back = threading.Semaphore(0)

    class Hung:
        def close(self) -> None:
            pass

        def describe(self, ref: SecretRef) -> None:
            go_on.wait(30)
            came_back.release()
            raise DOWN

    writer = opened(Hung(), deadline=0.05)
    for _ in range(THRESHOLD - 1):
        with pytest.raises(DeadlineExceeded):
            writer.describe(REF)
    go_on.set()
    for _ in range(THRESHOLD - 1):
        assert came_back.acquire(timeout=10)
    end = time.monotonic() + 5
    while writer._places._value < 4 and time.monotonic() < end:
        time.sleep(0.01)
    assert writer.health.state == "closed"
    with pytest.raises(Unavailable, match="down"):
        writer.describe(REF)
    assert writer.health.state == "open"


def test_a_retry_that_is_not_made_costs_no_savings(opened: Opener) -> None:
    inner = Unlucky(MemoryStore().writer(), DOWN)
    writer = opened(inner, deadline=0.01)
    saved = writer.health._savings
    with pytest.raises(Unavailable, match="down"):
        create(writer)
    assert (writer.health.retried, writer.health._savings) == (0, saved)


def test_no_try_is_begun_that_would_be_too_late(opened: Opener) -> None:
    inner = Unlucky(MemoryStore().writer(), *[DOWN] * 3)
    with pytest.raises(Unavailable, match="down"):
        create(opened(inner, deadline=0.01))
    assert inner.operations == ["one"]


def test_a_steady_rate_of_writes_to_a_failing_store_is_at_most_doubled(opened: Opener) -> None:
    """The breaker is kept out of it: now and then one comes through."""
    writes = 120
    inner = Unlucky(MemoryStore().writer())
    writer = opened(inner)
    for number in range(writes):
        inner.failures = [DOWN] * (ATTEMPTS if number % (THRESHOLD - 2) else 0)
        with suppress(SecretsError):
            writer.describe(REF)
    assert len(inner.operations) <= 2 * writes + 10


def test_a_closed_one_says_so(opened: Opener) -> None:
    writer = opened(MemoryStore().writer())
    writer.close()
    with pytest.raises(Unavailable, match='store "s" is closed'):
        writer.describe(REF)
