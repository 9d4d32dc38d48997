"""Every store can be asked whether it has what is needed, also one that has no way of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from secrets_svc.backends.memory import MemoryStore
from secrets_svc.core.errors import Unavailable, Unreadable
from secrets_svc.core.ports import Capabilities
from secrets_svc.data.probing import probe_reader, probe_writer
from secrets_svc.data.retrying import RetryingWriter
from secrets_svc.data.store_reading import ReadingOptions, StoreReading
from secrets_svc.data.writing import ValidatedWriter


class Side:
    """A writer and a reader in one, over a store in memory; ``lacks`` is raised by whatever is asked."""

    def __init__(self) -> None:
        store = MemoryStore()
        self._writer, self._reader = store.writer(), store.reader()
        self.lacks: Exception | None = None
        self.asked: list[str] = []

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.lacks is not None:
            raise self.lacks

    def describe(self, ref: Any) -> Any:
        self._ask("describe")
        return self._writer.describe(ref)

    def resolve(self, refs: Any) -> Any:
        self._ask("resolve")
        return self._reader.resolve(refs)

    def close(self) -> None:
        pass


class Asking(Side):
    """One that has a way of its own."""

    def probe(self) -> None:
        self._ask("probe")


PROBES: dict[str, Callable[[Any], None]] = {"describe": probe_writer, "resolve": probe_reader}


@pytest.mark.parametrize("how", PROBES)
def test_a_good_store_lacks_nothing(how: str) -> None:
    side = Side()
    PROBES[how](side)
    assert side.asked == [how]


@pytest.mark.parametrize("error", [Unavailable("down"), Unreadable("no right")])
@pytest.mark.parametrize("how", PROBES)
def test_what_a_look_is_refused_for_is_told(how: str, error: Exception) -> None:
    side = Side()
    side.lacks = error
    with pytest.raises(Unavailable, match=str(error)):
        PROBES[how](side)


@pytest.mark.parametrize("how", PROBES)
def test_a_way_of_its_own_is_taken(how: str) -> None:
    side = Asking()
    PROBES[how](side)
    assert side.asked == ["probe"]


@pytest.mark.parametrize("inline", [True, False])
def test_through_what_stands_in_front_and_no_part_of_its_health(inline: bool) -> None:
    """A store in this process isn't asked."""
    side: Any = Side()
    side.lacks = Unavailable("down")
    writer = side if inline else RetryingWriter(store="s", writer=side, at_once=1)
    capabilities = Capabilities(max_value=10, inline=inline)
    written = ValidatedWriter(writer=writer, capabilities=capabilities, store="s")
    reading = StoreReading(store="s", reader=side, options=ReadingOptions(inline=inline))
    for front in (written, reading):
        if inline:
            front.probe()
            continue
        for _ in range(10):
            with pytest.raises(Unavailable, match="down"):
                front.probe()
    assert side.asked == ([] if inline else ["describe"] * 10 + ["resolve"] * 10)
    assert written.condition == "closed"
    assert inline or reading.condition == "closed"
    written.close()
    reading.close()
