"""Writes to a store without end, to be killed (``python writing_process.py``): all that a writer can do.

Reads a line of JSON from standard input: a :class:`places.Place`, what is there by name, and a seed. Says
each write before it begins, and the version that came of it once that was acknowledged.
"""

from __future__ import annotations

import json
import random
import secrets
import sys
from dataclasses import asdict, dataclass

from places import Place
from whole_values import value_of

from secrets_svc.core.abilities import Purges, RollsBack
from secrets_svc.core.ports import SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

#: What is there: by name the number of the write, ``None`` where there is nothing.
State = dict[str, int | None]
#: By name the versions since it was created, the newest last, and the numbers of their values.
Known = dict[str, list[tuple[str, int]]]
#: Of these, those that every store still keeps.
LATEST = 3


@dataclass(frozen=True)
class Write:
    """One of them.

    :param number: of the value; ``None`` for a delete and a purge. :param to: the version of a rollback.
    """

    verb: str
    organization: str
    name: str
    number: int | None
    operation: str
    to: str = ""

    @property
    def ref(self) -> SecretRef:
        """What it is about."""
        return SecretRef(Scope(self.organization, "production", "shop"), self.name)

    def carry_out(self, writer: SecretWriter) -> str | None:
        """The version that came of it. Raises what the writer does."""
        who = {"actor": "t", "operation_id": self.operation}
        if self.number is None:
            end = writer.purge if self.verb == "purge" and isinstance(writer, Purges) else writer.delete
            end(self.ref, **who)
            return None
        if self.to:
            assert isinstance(writer, RollsBack)
            return writer.rollback(self.ref, to=self.to, **who).version
        value = SecretValue(value_of(self.name, self.number))
        if self.verb == "create":
            return writer.create(self.ref, value, SecretType.GENERIC, **who).version
        return writer.update(self.ref, value, **who).version


def next_write(organization: str, state: State, known: Known, number: int, chance: random.Random) -> Write:
    """Any that the state allows."""
    name = chance.choice(sorted(state))
    operation = secrets.token_hex(8)
    if state[name] is None:
        return Write("create", organization, name, number, operation)
    what, earlier = chance.random(), known[name][:-1][-LATEST:]
    if what < 0.2:
        return Write("delete", organization, name, None, operation)
    if what < 0.35:
        return Write("purge", organization, name, None, operation)
    if what < 0.6 and earlier:
        version, was = chance.choice(earlier)
        return Write("rollback", organization, name, was, operation, to=version)
    return Write("update", organization, name, number, operation)


def note(known: Known, write: Write, made: str | None) -> None:
    """It was acknowledged. :param made: the version, where one can go back to it."""
    others = [] if write.number is None else [each for each in known[write.name] if each[0] != made]
    known[write.name] = others if made is None or write.number is None else [*others, (made, write.number)]


def main() -> None:
    """Until it is killed."""
    told = json.loads(sys.stdin.readline())
    state: State = told["state"]
    chance = random.Random(told["seed"])
    writer = Place.of(told["place"]).writer()
    number: int = told["number"]
    known: Known = told["known"]
    while True:
        number += 1
        write = next_write(told["organization"], state, known, number, chance)
        print(json.dumps(asdict(write)), flush=True)
        made = write.carry_out(writer)
        print(json.dumps({"version": made}), flush=True)
        state[write.name] = write.number
        note(known, write, made if isinstance(writer, RollsBack) else None)


if __name__ == "__main__":
    main()
