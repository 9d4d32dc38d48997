"""When a store is asked again, and when it is left alone."""

from __future__ import annotations

import pytest

from secrets_svc.core.errors import (
    Conflict,
    DeadlineExceeded,
    NotFound,
    SecretsError,
    Spoilt,
    Throttled,
    Unavailable,
)
from secrets_svc.data.health import ATTEMPTS, LONGEST_BREAK, SAVINGS, THRESHOLD, Health

DOWN = Unavailable("down")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health("vault", clock=clock, chance=lambda: 1.0)


def fail(health: Health, times: int = 1, error: SecretsError = DOWN) -> None:
    for _ in range(times):
        health.begin()
        health.failed(error)


@pytest.mark.parametrize("error", [DOWN, DeadlineExceeded("late")])
def test_failures_in_a_row_open_it(health: Health, error: SecretsError) -> None:
    fail(health, THRESHOLD - 1, error)
    assert health.state == "closed"
    fail(health, 1, error)
    assert health.state == "open"
    with pytest.raises(Unavailable, match=r'store "vault" has failed 5 times in a row') as refused:
        health.begin()
    assert refused.value.retry_after == pytest.approx(0.5)
    assert health.refused == 1


def test_an_answer_in_between_keeps_it_closed(health: Health) -> None:
    for _ in range(10):
        fail(health, THRESHOLD - 1)
        health.begin()
        health.succeeded()
    assert health.state == "closed"


@pytest.mark.parametrize("error", [NotFound("x"), Conflict("x"), Spoilt("x")])
def test_what_says_nothing_about_the_store_is_an_answer(health: Health, error: SecretsError) -> None:
    fail(health, THRESHOLD - 1)
    fail(health, 1, error)
    fail(health, THRESHOLD - 1)
    assert health.state == "closed"


def test_after_a_break_one_call_tries_and_what_it_finds_counts(health: Health, clock: Clock) -> None:
    fail(health, THRESHOLD)
    clock.now += 0.5
    assert health.state == "half-open"
    health.begin()
    with pytest.raises(Unavailable):
        health.begin()
    health.succeeded()
    health.begin()
    assert health.state == "closed"


def test_breaks_grow_and_what_comes_back_is_noticed_within_the_longest(health: Health, clock: Clock) -> None:
    fail(health, THRESHOLD)
    lengths = []
    for _ in range(8):
        began = clock.now
        while health.state == "open":
            clock.now += 0.1
        lengths.append(round(clock.now - began, 1))
        fail(health)
    assert lengths[:4] == pytest.approx([0.5, 1.0, 2.0, 4.0], abs=0.11)
    assert max(lengths) <= LONGEST_BREAK + 0.2


def test_whoever_tries_and_never_comes_back_keeps_nobody_out_for_ever(health: Health, clock: Clock) -> None:
    fail(health, THRESHOLD)
    clock.now += 0.5
    health.begin()
    clock.now += LONGEST_BREAK
    health.begin()


def test_a_store_that_asks_for_time_gets_it(health: Health, clock: Clock) -> None:
    fail(health, 1, Throttled("slow", retry_after=3))
    assert health.state == "throttled"
    with pytest.raises(Throttled) as refused:
        health.begin()
    assert refused.value.retry_after == pytest.approx(3)
    clock.now += 3
    health.begin()
    assert health.state == "closed"


def test_but_not_for_ever(health: Health, clock: Clock) -> None:
    fail(health, 1, Throttled("slow", retry_after=1e9))
    clock.now += 30
    health.begin()


def test_retries_are_few_and_grow(health: Health) -> None:
    pauses = [health.pause(DOWN, attempt) for attempt in range(1, ATTEMPTS + 1)]
    assert pauses == [pytest.approx(0.1), pytest.approx(0.2), None]


@pytest.mark.parametrize(
    ("chance", "pauses", "length"),
    [(0.0, [0.05, 0.1], 0.375), (0.5, [0.075, 0.15], 0.4375), (1.0, [0.1, 0.2], 0.5)],
)
def test_chance_takes_at_most_half_of_a_pause_and_a_quarter_of_a_break(
    clock: Clock, chance: float, pauses: list[float], length: float
) -> None:
    """So that those who failed together don't come back together."""
    health = Health("vault", clock=clock, chance=lambda: chance)
    assert [health.pause(DOWN, attempt) for attempt in (1, 2)] == [pytest.approx(each) for each in pauses]
    fail(health, THRESHOLD)
    with pytest.raises(Unavailable) as refused:
        health.begin()
    assert refused.value.retry_after == pytest.approx(length)


def test_it_is_by_chance_unless_one_is_given() -> None:
    pauses = {Health("vault").pause(DOWN, 1) for _ in range(20)}
    assert len(pauses) > 1
    assert all(pause is not None and 0.05 <= pause <= 0.1 for pause in pauses)


@pytest.mark.parametrize("error", [NotFound("x"), Spoilt("x"), DeadlineExceeded("x"), Conflict("x")])
def test_what_would_fail_again_is_not_tried_again(health: Health, error: SecretsError) -> None:
    assert health.pause(error, 1) is None


def test_a_store_is_waited_for_as_it_says_if_that_is_short(health: Health) -> None:
    assert health.pause(Throttled("x", retry_after=0.7), 1) == pytest.approx(0.7)
    assert health.pause(Throttled("x", retry_after=5), 1) is None


def test_a_failing_store_sees_at_most_twice_its_rate(health: Health, clock: Clock) -> None:
    calls = retries = 0
    for _ in range(500):
        attempt = 1
        while True:
            try:
                health.begin(again=attempt > 1)
            except Unavailable:
                break
            calls += attempt == 1
            retries += attempt > 1
            health.failed(DOWN)
            if health.pause(DOWN, attempt) is None:
                break
            attempt += 1
        health.succeeded()  # never opens: the worst case
    assert calls == 500
    assert retries <= calls + SAVINGS
