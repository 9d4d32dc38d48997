"""Writes to a store without end, to be killed (``python writing_process.py``).

Reads a line of JSON from standard input: a :class:`places.Place`, what is there by name, and a seed. Says
each write before it begins, and that it was acknowledged once it was.
"""

from __future__ import annotations

import json
import random
import secrets
import sys
from dataclasses import asdict, dataclass

from places import Place
from whole_values import value_of

from secrets_svc.core.ports import SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

#: What is there: by name the number of the write, ``None`` where there is nothing.
State = dict[str, int | None]


@dataclass(frozen=True)
class Write:
    """One of them.

    :param number: of the value; ``None`` for a delete.
    """

    verb: str
    organization: str
    name: str
    number: int | None
    operation: str

    @property
    def ref(self) -> SecretRef:
        """What it is about."""
        return SecretRef(Scope(self.organization, "production", "shop"), self.name)

    def carry_out(self, writer: SecretWriter) -> None:
        """Raises what the writer does."""
        if self.number is None:
            writer.delete(self.ref, actor="t", operation_id=self.operation)
            return
        value = SecretValue(value_of(self.name, self.number))
        if self.verb == "create":
            writer.create(self.ref, value, SecretType.GENERIC, actor="t", operation_id=self.operation)
        else:
            writer.update(self.ref, value, actor="t", operation_id=self.operation)


def next_write(organization: str, state: State, number: int, chance: random.Random) -> Write:
    """Any that the state allows."""
    name = chance.choice(sorted(state))
    operation = secrets.token_hex(8)
    if state[name] is None:
        return Write("create", organization, name, number, operation)
    if chance.random() < 0.3:
        return Write("delete", organization, name, None, operation)
    return Write("update", organization, name, number, operation)


def main() -> None:
    """Until it is killed."""
    told = json.loads(sys.stdin.readline())
    state: State = told["state"]
    chance = random.Random(told["seed"])
    writer = Place.of(told["place"]).writer()
    number: int = told["number"]
    while True:
        number += 1
        write = next_write(told["organization"], state, number, chance)
        print(json.dumps(asdict(write)), flush=True)
        write.carry_out(writer)
        print("{}", flush=True)
        state[write.name] = write.number


if __name__ == "__main__":
    main()
