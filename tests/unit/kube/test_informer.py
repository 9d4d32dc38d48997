"""The copy of a collection: it goes on where the watch broke, and keeps little of each object."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from secrets_svc.kube.api import ApiServer, Object
from secrets_svc.kube.errors import ApiError
from secrets_svc.kube.informer import Informer, Metadata


def item(name: str, version: int, uid: str = "u", **metadata: Any) -> Object:
    return {"metadata": {"name": name, "uid": uid, "resourceVersion": str(version), **metadata}}


def event(kind: str, object_: Object) -> Object:
    return {"type": kind, "object": object_}


class Script:
    """An API server that answers as written: lists, and watches that each end with an error or without."""

    def __init__(self, lists: list[list[Object]], watches: list[list[Object | Exception]]) -> None:
        self.lists = lists
        self.watches = watches
        self.watched_from: list[str] = []
        self.over = threading.Event()

    def pages(self, _path: str, **_options: Any) -> Iterator[Object]:
        yield {"metadata": {"resourceVersion": "10"}, "items": self.lists.pop(0)}

    def watch(self, _path: str, *, query: dict[str, str], **_options: Any) -> Script.Stream:
        self.watched_from.append(query["resourceVersion"])
        if not self.watches:
            self.over.set()
            time.sleep(0.02)
            raise ApiError(500)
        return Script.Stream(self.watches.pop(0))

    class Stream:
        def __init__(self, events: list[Object | Exception]) -> None:
            self.events = events

        def __iter__(self) -> Iterator[Object]:
            for each in self.events:
                if isinstance(each, Exception):
                    raise each
                yield each

        def close(self) -> None:
            """Nothing to close."""


def follow(script: Script, **options: Any) -> Informer:
    informer = Informer(cast(ApiServer, script), "/things", **options)
    informer.start()
    assert script.over.wait(10)
    informer.stop()
    return informer


def names(informer: Informer) -> set[str]:
    return {each.name for each in informer.all()}


def test_it_goes_on_from_the_last_event_when_the_watch_breaks() -> None:
    seen: list[tuple[str | None, str | None]] = []

    def on_change(was: Metadata | None, now: Metadata | None) -> None:
        seen.append((was and was.resource_version, now and now.resource_version))

    script = Script(
        [[item("a", 9)]],
        [
            [event("MODIFIED", item("a", 12)), event("DELETED", item("a", 13)), ApiError(500)],
            [event("BOOKMARK", item("", 20))],
        ],
    )
    informer = follow(script, on_change=on_change)
    assert script.watched_from == ["10", "13", "20"]
    assert seen == [(None, "9"), ("9", "12"), ("12", None)]
    assert informer.all() == []


def test_it_lists_again_when_its_version_is_too_old() -> None:
    script = Script([[item("a", 9)], [item("b", 30)]], [[ApiError(410)]])
    informer = follow(script)
    assert names(informer) == {"b"}
    assert script.watched_from == ["10", "10"]


def test_an_object_made_again_under_its_name_is_another_one() -> None:
    seen: list[tuple[bool, bool]] = []

    def on_change(was: Metadata | None, now: Metadata | None) -> None:
        seen.append((was is not None, now is not None))

    follow(Script([[item("a", 9)]], [[event("MODIFIED", item("a", 12, "v"))]]), on_change=on_change)
    assert seen == [(False, True), (True, False), (False, True)]


def test_only_the_labels_that_are_wanted_are_kept() -> None:
    big = {"labels": {"kept": "1", "other": "x" * 50_000}, "annotations": {"a": "y" * 50_000}}
    script = Script([[item("a", 9, **big)]], [[event("ADDED", item("b", 11, **big))]])
    informer = follow(script, labels=["kept"])
    assert [each.labels for each in informer.all()] == [{"kept": "1"}] * 2
    assert all(not each.annotations for each in informer.all())


def test_its_age_is_the_time_since_the_server_spoke() -> None:
    now = [100.0]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731
    informer = follow(Script([[]], []), clock=clock)
    now[0] += 7
    assert informer.age == 7
    assert Informer(cast(ApiServer, None), "/never").age == float("inf")
