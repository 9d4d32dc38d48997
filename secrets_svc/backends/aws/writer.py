"""The writer's side. It never asks for a value, and its identity needs no right to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from secrets_svc.backends.aws import listing, names, values
from secrets_svc.backends.aws.calls import Calls
from secrets_svc.backends.aws.changes import Changes, busy, foreign, pauses
from secrets_svc.backends.aws.deletion import Deletions, absent, still_going
from secrets_svc.backends.aws.held import Held
from secrets_svc.backends.aws.history import history, target
from secrets_svc.backends.aws.notes import Note
from secrets_svc.backends.aws.operations import Earlier, Register
from secrets_svc.backends.aws.versions import CREATE, DELETE, PURGE, ROLLBACK, UPDATE, Operation
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.errors import AlreadyExists, Conflict, InvalidArgument
from secrets_svc.core.ports import Fits, Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue


class AwsWriter:
    """See :class:`secrets_svc.core.ports.SecretWriter`, and :mod:`secrets_svc.core.abilities`.

    :param calls: with the writer's identity; closed with this.
    :param register: of this store, in this process.
    :param days: for which a deleted secret can be got back.
    """

    def __init__(self, calls: Calls, register: Register, *, prefix: str, days: int) -> None:
        self._calls = calls
        self._register = register
        self._prefix = prefix
        self._changes = Changes(calls)
        self._deletions = Deletions(calls, self._changes, register, days=days)

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See the port."""
        operation = Operation.of(operation_id, CREATE, type=type)
        self._check(ref, value, actor, operation)
        held: Held | None = None
        for _ in pauses():
            note = Note.now(operation, actor, at=datetime.now(UTC), type=type, size=len(value))
            held = self._calls.look(ref)
            if held is None:
                made = self._created(ref, value, note, operation)
            else:
                if not held.is_ours:
                    raise foreign(ref, self._calls.name(ref))
                made = self._created_again(held, value, note, operation)
            if made is not None:
                return self._done(operation, made)
        raise still_going(ref) if held is None else busy(ref)

    def _created(
        self, ref: SecretRef, value: SecretValue, note: Note, operation: Operation
    ) -> SecretMetadata | None:
        """Secret, value and metadata in one call; ``None`` if something is there by now."""
        version = operation.version()
        tags = {**names.tags_of(ref), names.VERSION: version, **note.tags()}
        key = self._calls.create(ref, value, version, tags)
        if key is None:
            return None
        held = self._calls.look(ref)  # if the same call was made beside this one, it may have been the other
        if held is None or held.key != key or held.written(version) is None:
            stages = {version: frozenset({names.CURRENT})}
            held = Held(ref, key, version, stages, tags, False, note.at, note.at)
        return held.as_written(version)

    def _created_again(
        self, held: Held, value: SecretValue, note: Note, operation: Operation
    ) -> SecretMetadata | None:
        before = self._changes.earlier(held, operation)
        if before is not None and before.done:
            return self._repeated(held, before, value, note.by)
        if held.is_there:
            raise AlreadyExists(f"secret {held.ref} exists already")
        if not self._deletions.make_ready(held):
            return None
        version = before.version if before else operation.version()
        made = self._changes.replace(held, value, version, note)
        if made is None:
            return None
        self._deletions.keep(held.ref)
        return made.as_written(version)

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
        operation = Operation.of(operation_id, UPDATE, expected=expected)
        self._check(ref, value, actor, operation)
        for _ in pauses():
            held = self._existing_or_deleted(ref)
            before = self._changes.earlier(held, operation)
            if before is not None and before.done:
                return self._done(operation, self._repeated(held, before, value, actor))
            current = _current(held, expected)
            if fits is not None:
                fits(current.type)
            at = max(datetime.now(UTC), current.updated_at)
            note = Note.now(operation, actor, at=at, type=current.type, size=len(value))
            version = before.version if before else operation.version(held.born)
            made = self._changes.replace(held, value, version, note)
            if made is not None:
                return self._done(operation, made.as_written(version))
            if expected is not None:  # the next look will say so
                self._changes.refuse(ref, version, note)
        raise busy(ref)

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :class:`secrets_svc.core.abilities.RollsBack`. No value moves: AWSCURRENT does."""
        operation = Operation.of(operation_id, ROLLBACK, type=to, expected=expected)
        self._check(ref, None, actor, operation)
        for _ in pauses():
            held = self._existing_or_deleted(ref)
            before = self._changes.earlier(held, operation)
            if before is not None and before.done:
                return self._done(operation, _rolled_back(held, before.version, operation))
            current = _current(held, expected)
            version = target(self._calls, held, to)
            at = max(datetime.now(UTC), current.updated_at)
            note = Note.now(operation, actor, at=at, type=None, size=None)
            made = self._changes.point(held, version, note)
            if made is not None:
                return self._done(operation, _rolled_back(made, version, operation))
            if expected is not None:
                self._changes.withdraw(ref, version, note)
        raise busy(ref)

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See the port. It can be got back for some days; :meth:`purge` leaves nothing."""
        operation = Operation.of(operation_id, DELETE)
        self._check(ref, None, actor, operation)
        self._deletions.delete(ref, operation, actor)

    def purge(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :class:`secrets_svc.core.abilities.Purges`. Only this process remembers that it was done."""
        operation = Operation.of(operation_id, PURGE)
        self._check(ref, None, actor, operation)
        self._deletions.purge(ref, operation)

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See the port."""
        held = self._existing_or_deleted(ref)
        if not held.is_there:
            raise absent(ref)
        return held.metadata()

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :class:`secrets_svc.core.abilities.KeepsHistory`."""
        held = self._existing_or_deleted(ref)
        if not held.is_there:
            raise absent(ref)
        listing.check_limit(limit)
        return history(held, self._calls.versions(ref))[:limit]

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See the port."""
        return listing.page(self._calls, self._prefix, within, exact=exact, limit=limit, cursor=cursor)

    def close(self) -> None:
        """See the port."""
        self._calls.close()

    def _check(self, ref: SecretRef, value: SecretValue | None, actor: str, operation: Operation) -> None:
        name = self._calls.name(ref)
        if value is not None:
            values.check(ref, value)
        if not actor.isprintable():
            raise InvalidArgument("actor is not valid: printable characters only")
        self._register.was_done(operation, name)

    def _existing_or_deleted(self, ref: SecretRef) -> Held:
        held = self._calls.look(ref)
        if held is None or not held.is_ours:
            raise absent(ref)
        return held

    def _repeated(self, held: Held, before: Earlier, value: SecretValue, actor: str) -> SecretMetadata:
        self._changes.compare(held, before.version, value)
        answer = held.as_written(before.version)
        if held.written(before.version) is None:  # no label tells any more
            return replace(answer, updated_by=actor, size=len(value))
        return answer

    def _done(self, operation: Operation, answer: SecretMetadata) -> SecretMetadata:
        self._register.done(operation, self._calls.name(answer.ref))
        return answer


def _current(held: Held, expected: str | None) -> SecretMetadata:
    """Metadata of what is about to be replaced.

    :raises NotFound: there is none. :raises Conflict: it isn't the version that was expected.
    """
    if not held.is_there:
        raise absent(held.ref)
    current = held.metadata()
    if expected is not None and expected != current.version:
        raise Conflict(f"secret {held.ref} is at another version than expected: look at it again")
    return current


def _rolled_back(held: Held, version: str, operation: Operation) -> SecretMetadata:
    """As it was after that operation."""
    answer = held.as_written(version)
    notes = [note for note in held.notes(version) if note.operation == operation.id]
    last = max(notes, key=lambda note: note.at, default=None)  # each try leaves one
    return answer if last is None else replace(answer, updated_at=last.at, updated_by=last.by)
