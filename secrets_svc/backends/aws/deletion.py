"""Deletion. The value is not current any more before the deletion is scheduled, nor when it is taken back.

A deleted secret's current version is a tombstone. AWS keeps the versions before it until the recovery window
ends, so what was there can be got back with AWS's own tools: restore it, and move AWSCURRENT back.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from secrets_svc.backends.aws.calls import Calls
from secrets_svc.backends.aws.changes import Changes, busy, pauses
from secrets_svc.backends.aws.held import Held
from secrets_svc.backends.aws.notes import Note
from secrets_svc.backends.aws.operations import Register
from secrets_svc.backends.aws.values import TOMBSTONE
from secrets_svc.backends.aws.versions import Operation
from secrets_svc.core.errors import Conflict, NotFound, Unavailable, Unsupported
from secrets_svc.core.secret import SecretRef

#: Seconds within which a deletion that was begun is given time to end; and between two looks.
_UNDER_WAY, _BETWEEN_LOOKS, _LOOKS = 10.0, 0.1, 10


class Deletions:
    """Deletes, and makes ready for what is created again.

    :param days: for which a deleted secret can be got back.
    """

    def __init__(self, calls: Calls, changes: Changes, register: Register, *, days: int) -> None:
        self._calls = calls
        self._changes = changes
        self._register = register
        self._days = days

    def delete(self, ref: SecretRef, operation: Operation, actor: str) -> None:
        """See the port."""
        name = self._calls.name(ref)
        self._register.was_done(operation, name)
        for _ in pauses():
            held = self._calls.look(ref)
            if held is None or not held.is_ours:
                raise absent(ref)
            before = self._changes.earlier(held, operation)
            if (before is not None and before.done) or not held.is_there:
                self._end(held)
                if before is not None and before.done:
                    return
                raise absent(ref)
            version = before.version if before else operation.version(held.born)
            at = max(datetime.now(UTC), held.metadata().updated_at)
            note = Note.now(operation, actor, at=at, type=None, size=None)
            buried = self._changes.replace(held, TOMBSTONE, version, note)
            if buried is not None:
                self._register.done(operation, name)
                self._end(buried)
                return
        raise busy(ref)

    def purge(self, ref: SecretRef, operation: Operation) -> None:
        """See :class:`secrets_svc.core.abilities.Purges`."""
        name = self._calls.name(ref)
        if self._register.was_done(operation, name):
            return
        held = self._calls.look(ref)
        if held is None or not held.is_ours:
            raise absent(ref)
        if not self._calls.purge(ref):
            if held.deleted and held.is_tombstone and self._calls.restore(ref):
                self._calls.purge(ref)
            now = self._calls.look(ref)
            if now is not None and now.key == held.key and not now.deleted:
                raise Unsupported(
                    f"secret {ref} can't be purged: AWS refuses it; perhaps it has replicas elsewhere"
                )
        self._register.done(operation, name)

    def _end(self, held: Held) -> None:
        """Schedule the deletion of what has a tombstone, if that isn't so yet.

        AWS takes no condition with that: it may meet what was created again since.
        """
        if not held.deleted and held.is_tombstone and self._calls.delete(held.ref, days=self._days):
            self.keep(held.ref)

    def keep(self, ref: SecretRef) -> None:
        """Take back a deletion of what isn't a tombstone.

        Whoever schedules one looks afterwards, and so does whoever created the secret again: the later of
        the two sees what the other did.
        """
        now = self._calls.look(ref)
        if now is not None and now.is_ours and now.deleted and not now.is_tombstone:
            self._calls.restore(ref)

    def make_ready(self, held: Held) -> bool:
        """For the creation of what was deleted; ``False`` if one must look again first.

        :raises Conflict: somebody else deleted it, and to restore it would show what was there.
        """
        if held.deleted:
            if not held.is_tombstone:
                raise Conflict(
                    f"secret {held.ref} can't be created: it was deleted outside this service, and its value "
                    "would come back; restore it or purge it"
                )
            self._calls.restore(held.ref)
            return True
        return not self._is_under_way(held)

    def _is_under_way(self, held: Held) -> bool:
        """Whether somebody was about to schedule the deletion; waits for it."""
        note = held.written(held.current or "")
        if note is None or (datetime.now(UTC) - note.at).total_seconds() > _UNDER_WAY:
            return False
        for _ in range(_LOOKS):
            time.sleep(_BETWEEN_LOOKS)
            now = self._calls.look(held.ref)
            if now is None or now.deleted or now.current != held.current:
                return True
        return False


def still_going(ref: SecretRef) -> Unavailable:
    """AWS ends a deletion for good in the background (API_DeleteSecret, ForceDeleteWithoutRecovery)."""
    return Unavailable(
        f"secret {ref} can't be created yet: AWS is still removing what was there", retry_after=5.0
    )


def absent(ref: SecretRef) -> NotFound:
    """There is none of ours."""
    return NotFound(f"there is no secret {ref}")
