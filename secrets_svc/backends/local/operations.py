"""Remembers operation ids, in the transaction of the operation itself."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from secrets_svc.core.errors import InvalidArgument

MAX_ID = 128
#: Seconds for which an id is remembered, and between two looks for older ones.
REMEMBERED = 24 * 3600
PRUNED_EVERY = 300.0
_PRUNED_AT_ONCE = 10_000

#: What an operation answered: see ``Record.answer``; empty for a delete.
Answer = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Operation:
    """One intent of one caller."""

    id: str
    verb: str
    storage_name: str

    def __post_init__(self) -> None:
        if not (1 <= len(self.id) <= MAX_ID and self.id.isprintable()):
            raise InvalidArgument(f"operation_id is not valid: 1 to {MAX_ID} printable characters")


class Operations:
    """The ``operations`` table."""

    def __init__(self) -> None:
        self._prune_after = 0.0

    def earlier(self, connection: sqlite3.Connection, operation: Operation) -> Answer | None:
        """What the operation answered when it was done; ``None`` if it was not yet.

        :raises InvalidArgument: the id stood for something else.
        """
        row = connection.execute(
            "SELECT verb, storage_name, answer FROM operations WHERE operation_id = ?", (operation.id,)
        ).fetchone()
        if row is None:
            return None
        verb, storage_name, answer = row
        if (verb, storage_name) != (operation.verb, operation.storage_name):
            raise InvalidArgument("operation_id was used before, for another secret or verb: take a new one")
        found: Answer = json.loads(answer)
        return found

    def remember(self, connection: sqlite3.Connection, operation: Operation, answer: Answer) -> None:
        """Write down that it was done, and now and then forget old ones."""
        now = int(time.time())
        connection.execute(
            "INSERT INTO operations (operation_id, verb, storage_name, answer, at) VALUES (?, ?, ?, ?, ?)",
            (operation.id, operation.verb, operation.storage_name, json.dumps(answer), now),
        )
        if time.monotonic() >= self._prune_after:
            self._prune_after = time.monotonic() + PRUNED_EVERY
            _forget(connection, now - REMEMBERED)


def _forget(connection: sqlite3.Connection, before: int) -> None:
    connection.execute(
        "DELETE FROM operations WHERE operation_id IN "
        "(SELECT operation_id FROM operations WHERE at < ? ORDER BY at LIMIT ?)",
        (before, _PRUNED_AT_ONCE),
    )
