"""What stores lack is told at the start, and stops nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from secrets_svc.core.errors import Unavailable
from secrets_svc.runtime.probing import Probing, lacking

WRONG = 'mount "old" is a KV engine of version 1: this store needs one of version 2'


class Store:
    """Lacks what it is told to."""

    def __init__(self) -> None:
        self.lacks: Exception | None = None
        self.asked = 0

    def probe(self) -> None:
        self.asked += 1
        if self.lacks is not None:
            raise self.lacks


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def probing(store: Store) -> Iterator[Probing]:
    def wait_for_ever() -> None:
        time.sleep(60)

    made = Probing("writer", {"main": store.probe, "hangs": wait_for_ever}, pause=0.01)
    yield made
    made.close()


def until(condition: Callable[[], bool]) -> None:
    due = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.005)


def test_a_store_that_has_all_is_asked_once(store: Store, probing: Probing) -> None:
    probing.start()
    until(lambda: store.asked == 1)
    time.sleep(0.1)
    assert store.asked == 1
    assert probing.beside({"main": "closed"}) == {"main": "closed"}


def test_what_is_missing_is_logged_once_hinted_at_and_forgotten_when_it_is_there(
    store: Store, probing: Probing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.lacks = Unavailable(WRONG)
    probing.start()
    until(lambda: store.asked > 3)
    assert [record.message for record in caplog.records] == [
        f'store "main" can\'t be used by its writer: {WRONG}'
    ]
    states = probing.beside({"main": "closed", "other": "open"})
    assert states == {"main": "closed, lacks something: unavailable, see the log", "other": "open"}
    store.lacks = None
    until(lambda: probing.beside({"main": "closed"}) == {"main": "closed"})
    assert caplog.records[-1].message == 'store "main" has what its writer needs now'


def test_another_reason_is_told_too(store: Store, probing: Probing, caplog: pytest.LogCaptureFixture) -> None:
    store.lacks = Unavailable("the vault server can't be reached, or hung up")
    probing.start()
    until(lambda: len(caplog.records) == 1)
    store.lacks = Unavailable(WRONG)
    until(lambda: len(caplog.records) == 2)
    assert WRONG in caplog.records[-1].message


def test_what_no_backend_should_raise_is_told_in_our_words_and_asked_again(
    store: Store, probing: Probing, caplog: pytest.LogCaptureFixture
) -> None:
    """A backend of somebody else's, whose errors may hold anything."""
    store.lacks = OSError("token=hunter2")
    probing.start()
    until(lambda: store.asked > 3)
    assert [record.message for record in caplog.records] == [
        'store "main" can\'t be used by its writer: its backend failed in a way that backends never should'
    ]
    assert "hunter2" not in caplog.text
    states = probing.beside({"main": "closed"})
    assert states == {"main": "closed, lacks something: internal, see the log"}
    store.lacks = None
    until(lambda: probing.beside({"main": "closed"}) == {"main": "closed"})


def test_who_asks_before_a_start_hears_of_it_and_of_the_other_stores() -> None:
    class Backend:
        capabilities = SimpleNamespace(inline=False)

        def __init__(self, error: Exception) -> None:
            self.error = error

        def open_writer(self, settings: Any, *, state: Any) -> Any:
            raise self.error

        open_reader = open_writer

    stores = {
        name: SimpleNamespace(backend=Backend(error), settings=None, state=None)
        for name, error in (("theirs", OSError("token=hunter2")), ("ours", Unavailable(WRONG)))
    }
    lines = lacking(SimpleNamespace(by_name=stores))  # type: ignore[arg-type]
    ours = "its backend failed in a way that backends never should (internal)"
    assert lines == [
        f'store "theirs", by its writer: {ours}',
        f'store "theirs", by its reader: {ours}',
        f'store "ours", by its writer: {WRONG} (unavailable)',
        f'store "ours", by its reader: {WRONG} (unavailable)',
    ]


def test_after_the_end_nobody_is_asked(store: Store, probing: Probing) -> None:
    store.lacks = Unavailable(WRONG)
    probing.start()
    until(lambda: store.asked > 1)
    probing.close()
    time.sleep(0.05)
    asked = store.asked
    time.sleep(0.1)
    assert store.asked == asked
