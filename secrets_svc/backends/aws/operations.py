"""Tells a repeated operation from another intent under the same id.

What an operation wrote is known by the id of the version that it made (``versions.py``), for as long as AWS
keeps that: a day at least. That its id comes again for *another* secret can't be seen there, nor what was
purged. So this process remembers too, for all writers of one store in it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from secrets_svc.backends.aws.held import Held
from secrets_svc.backends.aws.notes import Note
from secrets_svc.backends.aws.versions import Operation, VersionId
from secrets_svc.core.intents import used_for_another

#: Seconds for which operations are remembered here, and how many at most.
REMEMBERED = 24 * 3600.0
MOST = 50_000


class Register:
    """What this process has done to one store lately. Safe for threads.

    :param clock: seconds, never backwards.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._done: OrderedDict[str, tuple[Operation, str, float]] = OrderedDict()

    def was_done(self, operation: Operation, name: str) -> bool:
        """:raises InvalidArgument: its id stood for something else."""
        with self._lock:
            found = self._done.get(operation.id)
        if found is not None and found[:2] != (operation, name):
            raise used_for_another()
        return found is not None

    def done(self, operation: Operation, name: str) -> None:
        """Remember it; forgets what is too old."""
        now = self._clock()
        with self._lock:
            self._done[operation.id] = (operation, name, now)
            while len(self._done) > MOST or next(iter(self._done.values()))[2] < now - REMEMBERED:
                self._done.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An operation that was met again.

    :ivar version: that it made, or made current. :ivar done: it came to its end.
    """

    version: str
    done: bool


def earlier(held: Held, operation: Operation, others: Callable[[], set[str]]) -> Earlier | None:
    """What is there of it; ``None`` if it has not been begun.

    :param others: versions that no label tells of; asked for only where there may be some.
    :raises InvalidArgument: its id stood for another intent.
    """
    made = _made(held.versions(), operation) or _rolled_back(held, operation)
    if not made and may_have_lost_labels(held):
        made = _made(others(), operation)
    found = [Earlier(version, not held.is_pending(version, operation.id)) for version in made]
    return max(found, key=lambda each: each.done, default=None)


def _made(versions: set[str], operation: Operation) -> list[str]:
    found = []
    for version in sorted(versions):
        parsed = VersionId.parse(version)
        if parsed is not None and parsed.operation == operation.id:
            _check(parsed, operation)
            found.append(version)
    return found


def _rolled_back(held: Held, operation: Operation) -> list[str]:
    found = []
    for version in sorted(held.stages):
        for note in held.notes(version):
            if note.is_rollback and note.operation == operation.id:
                _check(note, operation)
                found.append(version)
    return found


def _check(found: VersionId | Note, operation: Operation) -> None:
    if (found.verb, found.intent) != (operation.verb, operation.intent):
        raise used_for_another()


#: Labels of ours that are left on a secret, and from how many on some may have been taken off.
KEPT = 12
_MAYBE = KEPT // 2


def may_have_lost_labels(held: Held) -> bool:
    """Whether there can be versions of ours without any label."""
    return sum(1 for _ in held.own_labels()) >= _MAYBE
