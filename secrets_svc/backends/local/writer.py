"""The writer's side: it seals and signs, and can't open."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import replace
from functools import partial
from typing import Any

from secrets_svc.backends.local import earlier, listing
from secrets_svc.backends.local.databases import Database, current_generation
from secrets_svc.backends.local.entries import is_whole, put_entry, put_sealed
from secrets_svc.backends.local.keys import KeyRing, load_writer_keys
from secrets_svc.backends.local.operations import Answer, Operation, Operations, told
from secrets_svc.backends.local.records import (
    COLUMNS,
    Record,
    Verifier,
    again_after_rotation,
    changed_outside,
    now,
)
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, TooLarge
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Fits, Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

#: Bytes: what a Kubernetes Secret holds, which is how values are delivered.
MAX_VALUE = 1_048_576

_SELECT = f"SELECT {COLUMNS} FROM secrets WHERE storage_name = ?"  # noqa: S608  # constants only


class LocalWriter:
    """See :class:`secrets_svc.core.ports.SecretWriter`, and ``KeepsHistory`` and ``RollsBack`` beside it.

    :param database: opened for writing; closed with this.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = KeyRing(database.folder, load_writer_keys)
        self._verifier = Verifier(lambda generation: self._keys.of(generation).verifying)
        self._operations = Operations(lambda generation: self._keys.of(generation).comparing)

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See the port."""
        operation = Operation(operation_id, "create", storage_name(ref), value, type)
        _check(ref, value, actor)
        with self._database.writing() as connection:
            answer = self._operations.earlier(connection, operation)
            if answer is None:
                if self._row(connection, operation.storage_name) is not None:
                    raise AlreadyExists(f"secret {ref} exists already")
                # Of another life, if somebody took the secret itself away.
                earlier.forget_all(connection, operation.storage_name)
                draft = _new(operation.storage_name, type, actor)
                answer = self._put(connection, operation, draft, value)
        return told(operation, answer)

    def update(
        self,
        ref: SecretRef,
        value: SecretValue,
        *,
        actor: str,
        operation_id: str,
        expected: str | None = None,
        fits: Fits | None = None,
    ) -> SecretMetadata:
        """See the port."""
        operation = Operation(operation_id, "update", storage_name(ref), value, expected=expected)
        _check(ref, value, actor)
        with self._database.writing() as connection:
            answer = self._operations.earlier(connection, operation)
            if answer is None:
                old = self._existing(connection, ref, operation.storage_name, expected)
                if fits is not None:
                    fits(SecretType(old.type))
                draft = replace(old, updated_at=_after(old), updated_by=actor)
                answer = self._put(connection, operation, draft, value, instead_of=old)
        return told(operation, answer)

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :class:`~secrets_svc.core.abilities.RollsBack`.

        The value is sealed to its token, which comes back with it. To what is current already, nothing is
        written but that it was asked.
        """
        operation = Operation(operation_id, "rollback", storage_name(ref), expected=expected, to=to)
        _check_actor(actor)
        with self._database.writing() as connection:
            answer = self._operations.earlier(connection, operation)
            if answer is None:
                old = self._existing(connection, ref, operation.storage_name, expected)
                made = old if to == old.token else self._turned(connection, ref, old, to, actor)
                answer = self._remembered(connection, operation, made)
        return told(operation, answer)

    def _turned(
        self, connection: sqlite3.Connection, ref: SecretRef, old: Record, to: str, actor: str
    ) -> Record:
        """Make an earlier version current: its sealed value, under a record that is signed anew."""
        found = again_after_rotation(partial(earlier.find, connection, self._verifier, old, to))
        if found is None:
            raise NotFound(f"secret {ref} has no such version, or its value is no longer kept")
        version, sealed = found
        if not is_whole(version, sealed):
            raise earlier.spoilt(version.storage_name)
        draft = replace(
            old,
            token=version.token,
            size=version.size,
            updated_at=_after(old),
            updated_by=actor,
            generation=version.generation,
            digest=version.digest,
        )
        self._keep(connection, old, draft)
        made = draft.signed(again_after_rotation(partial(self._keys.of, draft.generation)).signing)
        put_sealed(connection, made, sealed)
        return made

    def _keep(self, connection: sqlite3.Connection, old: Record, new: Record) -> None:
        keys = again_after_rotation(partial(self._keys.of, old.generation))
        earlier.keep(
            connection,
            old,
            verifier=self._verifier,
            by=new.token,
            left_at=new.updated_at,
            key=keys.signing,
        )

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :class:`~secrets_svc.core.abilities.KeepsHistory`."""
        listing.check_limit(limit)
        name = storage_name(ref)

        def look() -> tuple[VersionInfo, ...]:
            with self._database.reading() as connection:
                return earlier.history(connection, self._verifier, self._existing(connection, ref, name))

        return again_after_rotation(look)[:limit]

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:  # noqa: ARG002  # the port's
        """See the port. An entry that doesn't verify can be deleted too: it is the way to be rid of it."""
        operation = Operation(operation_id, "delete", storage_name(ref))
        with self._database.writing() as connection:
            if self._operations.earlier(connection, operation) is not None:
                return
            done = connection.execute("DELETE FROM secrets WHERE storage_name = ?", (operation.storage_name,))
            if done.rowcount == 0:
                raise _absent(ref)
            earlier.forget_all(connection, operation.storage_name)
            self._operations.remember(connection, operation, [])

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See the port."""
        return again_after_rotation(partial(self._describe, ref, storage_name(ref)))

    def _describe(self, ref: SecretRef, name: str) -> SecretMetadata:
        rows = self._database.rows(_SELECT, (name,))
        if not rows:
            raise _absent(ref)
        return self._verifier.checked(rows[0]).metadata()

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See the port."""
        listing.check_limit(limit)
        after = listing.position(cursor, within, exact=exact)
        statement = listing.query(within, exact=exact, after=after, limit=limit + 1)
        records = again_after_rotation(partial(self._records, *statement))
        for record in records:
            if not within.covers(record.ref.scope):
                raise changed_outside(record.storage_name)
        more = len(records) > limit
        items = tuple(record.metadata() for record in records[:limit])
        return Page(items, listing.cursor_after(records[limit - 1].storage_name) if more else None)

    def _records(self, sql: str, parameters: tuple[Any, ...]) -> tuple[Record, ...]:
        return tuple(self._verifier.checked(row) for row in self._database.rows(sql, parameters))

    def close(self) -> None:
        """See the port."""
        self._database.close()

    def _row(self, connection: sqlite3.Connection, name: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = connection.execute(_SELECT, (name,)).fetchone()
        return row

    def _existing(
        self, connection: sqlite3.Connection, ref: SecretRef, name: str, expected: str | None = None
    ) -> Record:
        row = self._row(connection, name)
        if row is None:
            raise _absent(ref)
        found = again_after_rotation(partial(self._verifier.checked, row))
        if expected is not None and expected != found.token:
            raise Conflict(f"secret {ref} is at another version than expected: look at it again")
        return found

    def _put(
        self,
        connection: sqlite3.Connection,
        operation: Operation,
        draft: Record,
        value: SecretValue,
        *,
        instead_of: Record | None = None,
    ) -> Answer:
        """Write ``draft`` with ``value`` under a new token and the current keys."""
        generation = current_generation(connection)
        keys = again_after_rotation(partial(self._keys.of, generation))
        draft = replace(draft, token=secrets.token_hex(16), size=len(value))
        if instead_of is not None:
            self._keep(connection, instead_of, draft)
        record = put_entry(connection, draft, value, generation=generation, keys=keys)
        return self._remembered(connection, operation, record)

    def _remembered(self, connection: sqlite3.Connection, operation: Operation, record: Record) -> Answer:
        generation = current_generation(connection)
        keys = again_after_rotation(partial(self._keys.of, generation))
        fingerprint = operation.fingerprint(keys.comparing)
        self._operations.remember(
            connection, operation, record.answer, generation=generation, fingerprint=fingerprint
        )
        return record.answer


def _new(storage_name: str, type: SecretType, actor: str) -> Record:
    at = now()
    return Record(storage_name, b"", "", type.value, 0, at, at, actor, actor, "", b"")


def _after(old: Record) -> int:
    """A time after its last change, also by a clock that was put back: versions have an order."""
    return max(now(), old.updated_at + 1)


def _check(ref: SecretRef, value: SecretValue, actor: str) -> None:
    if len(value) > MAX_VALUE:
        raise TooLarge(f"the value of secret {ref} has {len(value)} bytes, over the limit of {MAX_VALUE}")
    _check_actor(actor)


def _check_actor(actor: str) -> None:
    if not actor.isprintable():
        raise InvalidArgument("actor is not valid: printable characters only")


def _absent(ref: SecretRef) -> NotFound:
    return NotFound(f"there is no secret {ref}")
