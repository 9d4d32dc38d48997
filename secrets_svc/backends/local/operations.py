"""Remembers operation ids, in the transaction of the operation itself.

What an id stood for is kept as a fingerprint under a key of the writer's, one for each generation. A rotation
blanks those of the generations whose keys it removes: with such a key, values could be tried out against
them. What is blank counts as the same intent if verb and name are the same.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from secrets_svc.backends.local.keys import KeysGone
from secrets_svc.backends.local.records import Record
from secrets_svc.core.errors import InvalidArgument, Spoilt
from secrets_svc.core.intents import fingerprint, used_for_another
from secrets_svc.core.secret import SecretMetadata, SecretType
from secrets_svc.core.value import SecretValue

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
    value: SecretValue | None = None
    type: SecretType | None = None
    expected: str | None = None
    to: str | None = None

    def __post_init__(self) -> None:
        if not (1 <= len(self.id) <= MAX_ID and self.id.isprintable()):
            raise InvalidArgument(f"operation_id is not valid: 1 to {MAX_ID} printable characters")

    def fingerprint(self, key: bytes) -> bytes:
        """All of it but the id."""
        return fingerprint(
            key,
            verb=self.verb,
            name=self.storage_name,
            value=self.value,
            type=self.type,
            expected=self.expected,
            to=self.to,
        )


class Operations:
    """The ``operations`` table.

    :param key_of: the key for the fingerprints of a generation; raises ``KeysGone``.
    """

    def __init__(self, key_of: Callable[[str], bytes]) -> None:
        self._key_of = key_of
        self._prune_after = 0.0

    def earlier(self, connection: sqlite3.Connection, operation: Operation) -> Answer | None:
        """What the operation answered when it was done; ``None`` if it was not yet.

        :raises InvalidArgument: the id stood for something else.
        """
        row = connection.execute(
            "SELECT verb, storage_name, generation, fingerprint, answer FROM operations "
            "WHERE operation_id = ?",
            (operation.id,),
        ).fetchone()
        if row is None:
            return None
        verb, storage_name, generation, known, answer = row
        same = (verb, storage_name) == (operation.verb, operation.storage_name)
        if not (same and self._is_the_same(operation, generation, known)):
            raise used_for_another()
        return _parsed(answer)

    def _is_the_same(self, operation: Operation, generation: str | None, known: bytes | None) -> bool:
        if generation is None or known is None:
            return True
        try:
            return compare_digest(operation.fingerprint(self._key_of(generation)), known)
        except KeysGone:  # a rotation was killed between removing them and blanking this
            return True

    def remember(
        self,
        connection: sqlite3.Connection,
        operation: Operation,
        answer: Answer,
        *,
        generation: str | None = None,
        fingerprint: bytes | None = None,
    ) -> None:
        """Write down that it was done, and now and then forget old ones.

        :param generation: whose key made ``fingerprint``; neither, where verb and name are all there is.
        """
        now = int(time.time())
        connection.execute(
            "INSERT INTO operations (operation_id, verb, storage_name, generation, fingerprint, answer, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(operation.id, operation.verb, operation.storage_name),
                *(generation, fingerprint, json.dumps(answer), now),
            ),
        )
        if time.monotonic() >= self._prune_after:
            self._prune_after = time.monotonic() + PRUNED_EVERY
            _forget(connection, now - REMEMBERED)


def _parsed(answer: str) -> Answer:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise _changed_outside()
    return found


def told(operation: Operation, answer: Answer) -> SecretMetadata:
    """What to tell the caller of ``operation``.

    :raises Unavailable: the remembered answer can't be what it was.
    """
    try:
        return Record.of_answer(operation.storage_name, answer).metadata()
    except (TypeError, ValueError, OverflowError):
        raise _changed_outside() from None


def _changed_outside() -> Spoilt:
    """For a remembered answer that nobody here gave."""
    return Spoilt(
        "what the local store remembers of this operation id (Idempotency-Key) was changed outside this "
        "service: look whether the write was done, and take a new one"
    )


def blank_fingerprints(connection: sqlite3.Connection, kept: Iterable[str]) -> None:
    """Blank those of all generations but ``kept``."""
    connection.execute(
        "UPDATE operations SET generation = NULL, fingerprint = NULL "
        "WHERE generation NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(kept)),),
    )


def _forget(connection: sqlite3.Connection, before: int) -> None:
    connection.execute(
        "DELETE FROM operations WHERE operation_id IN "
        "(SELECT operation_id FROM operations WHERE at < ? ORDER BY at LIMIT ?)",
        (before, _PRUNED_AT_ONCE),
    )
