"""A new version in steps, each of which can be the last one that is done.

1. The version is put with its note and its *pending* label, beside the current one.
2. AWSCURRENT is moved to it from the version that was current when we looked: one step, which fails if
   another version is current by now.
3. The pending label is taken off.

So a version without a pending label has been current; one with it has not, unless it is current. For that,
whoever moves AWSCURRENT away from a version takes its pending labels off first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.calls import Calls, Put
from secrets_svc.backends.aws.held import Held
from secrets_svc.backends.aws.notes import COMPARED, Note, Refusals, is_pending, pending, refusals
from secrets_svc.backends.aws.operations import KEPT, Earlier, earlier
from secrets_svc.backends.aws.versions import Operation
from secrets_svc.core.errors import Conflict, SecretsError
from secrets_svc.core.intents import used_for_another
from secrets_svc.core.secret import SecretRef
from secrets_svc.core.value import SecretValue

#: Labels that a secret can have (Secrets Manager quotas), less those of a new version, and AWSPREVIOUS.
_ROOM = 20 - 3
#: Labels of refusals that are kept.
_MOST_REFUSALS = 3
#: Tries while others write the same secret; seconds before the second one, and at most before another.
ATTEMPTS = 12
_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


class Changes:
    """The steps, for any writer.

    :param calls: with the writer's identity.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def earlier(self, held: Held, operation: Operation) -> Earlier | None:
        """See :func:`.operations.earlier`."""
        return earlier(held, operation, lambda: set(self._calls.versions(held.ref)))

    def compare(self, held: Held, version: str, value: SecretValue) -> None:
        """Have AWS compare what was written with ``value``. Where it can't now, it is taken for equal.

        :raises InvalidArgument: it is another value.
        """
        note = held.written(version)
        label = COMPARED if note is None or note.label() not in held.stages.get(version, ()) else note.label()
        if self._calls.put(held.ref, value, version, [label]) is Put.OTHER_VALUE:
            raise used_for_another()

    def replace(self, held: Held, value: SecretValue, version: str, note: Note) -> Held | None:
        """Make a new version current instead of ``held``'s; ``None`` if something else is current by now.

        :raises InvalidArgument: the operation was begun with another value.
        """
        assert held.current is not None, "asked for what is there, or was deleted"
        self._settle(held)
        self._make_room(held)
        labels = [note.label(), pending(note.operation)]
        put = self._calls.put(held.ref, value, version, labels)
        if put is Put.OTHER_VALUE:
            raise used_for_another()
        self._readmit(held, note.operation)
        if put is Put.NOT_NOW or not self._calls.make_current(held.ref, version, instead_of=held.current):
            return None
        self._calls.unlabel(held.ref, version, labels[1])
        return held.with_version(version, labels[0])

    def point(self, held: Held, version: str, note: Note) -> Held | None:
        """Make a version that is there current; ``None`` if something else is by now, or it is gone."""
        assert held.current is not None, "asked for what is there"
        self._settle(held)
        self._make_room(held)
        labels = [pending(note.operation), note.label()]
        if not all(self._calls.label(held.ref, version, label) for label in labels):
            return None
        if version != held.current and not self._calls.make_current(
            held.ref, version, instead_of=held.current
        ):
            return None
        self._calls.unlabel(held.ref, version, labels[0])
        return held.with_version(version, labels[1])

    def refuse(self, ref: SecretRef, version: str, note: Note) -> None:
        """Remember of a version that it never was current, in less room than its own labels take.

        If that fails, its pending label tells so for a while.
        """
        with suppress(SecretsError):
            self._calls.unlabel(ref, version, note.label())
            held = self._calls.look(ref)
            if held is None or version == held.current:
                return
            known = sorted(_refusals(held))
            last = known[-1] if known and not known[-1][0].is_full else None
            number = known[-1][0].number + 1 if known else 1
            made = (last[0] if last else Refusals(number, ())).having(note.operation)
            if self._calls.label(ref, version, made.label()):
                gone = [last] if last else known[: max(len(known) - _MOST_REFUSALS + 1, 0)]
                for each, place in gone:
                    self._calls.unlabel(ref, place, each.label())
                self._calls.unlabel(ref, version, pending(note.operation))

    def withdraw(self, ref: SecretRef, version: str, note: Note) -> None:
        """Take off what a rollback that is refused put on the version that it was to."""
        with suppress(SecretsError):
            for label in (note.label(), pending(note.operation)):
                self._calls.unlabel(ref, version, label)

    def _readmit(self, held: Held, operation: str) -> None:
        """What was refused may be tried again: its pending label tells of it from now on."""
        for found, version in _refusals(held):
            rest = found.without(operation)
            if rest == found:
                continue
            if not rest.operations or self._calls.label(held.ref, version, rest.label()):
                self._calls.unlabel(held.ref, version, found.label())

    def _settle(self, held: Held) -> None:
        """What is current now has been: say so before it isn't any more."""
        for label in sorted(held.stages.get(held.current or "", ())):
            if is_pending(label):
                self._calls.unlabel(held.ref, held.current or "", label)

    def _make_room(self, held: Held) -> None:
        ours = sum(1 for _ in held.own_labels())
        everything = sum(map(len, held.stages.values()))
        too_many = max(ours - KEPT, everything - _ROOM)
        for version, label in list(_least_needed(held))[: max(too_many, 0)]:
            self._calls.unlabel(held.ref, version, label)


def _refusals(held: Held) -> list[tuple[Refusals, str]]:
    """What its refused labels tell, and the versions that they are on."""
    found = ((refusals(label), version) for version, label in held.own_labels())
    return [(each, version) for each, version in found if each is not None]


def _least_needed(held: Held) -> Iterator[tuple[str, str]]:
    """Labels that may go, those first that are missed least; not of what is current, nor of its birth."""
    birth = held.birth(held.born)
    kept = {held.current, birth[0] if birth else None}
    ranked = []
    for version, label in held.own_labels():
        if version in kept and label != COMPARED:
            continue
        note = Note.parse(label)
        rank = 3 if is_pending(label) or refusals(label) else 2 if held.never_current(version) else 1
        at = note.at if note else min((each.at for each in held.notes(version)), default=held.created_at)
        ranked.append((0 if label == COMPARED else rank, at, version, label))
    yield from ((version, label) for _, _, version, label in sorted(ranked))


def pauses() -> Iterator[None]:
    """As many turns as there are tries, with a pause before each but the first."""
    longest = _PAUSE
    for turn in range(ATTEMPTS):
        if turn:
            time.sleep(random.uniform(0, longest))  # noqa: S311  # spreads those who compete, no secret
            longest = min(2 * longest, _LONGEST_PAUSE)
        yield


def busy(ref: SecretRef) -> Conflict:
    """After the last try."""
    return Conflict(f"secret {ref} is being written by others all the time: try again later")


def foreign(ref: SecretRef, name: str) -> Conflict:
    """For what lies where a secret would be created."""
    return Conflict(
        f'secret {ref} can\'t be created: there is a secret "{name}" in AWS Secrets Manager without this '
        f"service's tags ({names.MANAGED}={names.MANAGED_VALUE}, …); it is left as it is"
    )
