"""The writer's side. It asks for metadata alone, so that no value ever comes back to it."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, datetime

from secrets_svc.backends.kubernetes import listing
from secrets_svc.backends.kubernetes.marks import Mark, Marks
from secrets_svc.backends.kubernetes.names import object_name
from secrets_svc.backends.kubernetes.namespace import SECRETS, Deletion, Namespace
from secrets_svc.backends.kubernetes.objects import Held, held, new_object, replacement
from secrets_svc.backends.kubernetes.operations import Operations, Record
from secrets_svc.core.errors import (
    AlreadyExists,
    Conflict,
    InvalidArgument,
    NotFound,
    TooLarge,
    Unavailable,
)
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Fits, Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.api import Object

#: Bytes of all values of one Secret, keys not counted (k8s.io/kubernetes/pkg/apis/core, MaxSecretSize).
MAX_VALUE = 1_048_576
#: Tries while others write the same secret; and seconds between two, at most.
_ATTEMPTS = 12
_PAUSE = 0.02


class KubernetesWriter:
    """See :class:`secrets_svc.core.ports.SecretWriter`.

    :param namespace: where the secrets are; closed with this.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._marks = Marks(namespace)
        self._operations = Operations(namespace)

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See the port."""
        name = storage_name(ref)
        _check(ref, value, actor)
        mark = self._marks.make(operation_id, "create", name, value=value, type=type)
        earlier = self._operations.earlier(mark)
        if earlier is not None:
            return _told(earlier)
        at = datetime.now(UTC)
        body = new_object(name, SecretMetadata(ref, type, "", at, at, actor, actor, len(value)), value, mark)
        for _ in range(_ATTEMPTS):
            made = self._namespace.create(SECRETS, body)
            if made is not None:
                return self._created(mark, held(made, name))
            answer = self._there_already(mark, ref, name)
            if answer is not None:
                return answer
        raise _busy(ref)

    def _created(self, mark: Mark, made: Held) -> SecretMetadata:
        answer = _told(self._operations.remember(mark, answer=made.metadata))
        if _uid(answer) != made.uid:
            # The same call was done beside this one, and its secret deleted, all since we looked for it.
            self._namespace.delete(
                SECRETS, object_name(mark.name), uid=made.uid, version=made.resource_version
            )
        return answer

    def _there_already(self, mark: Mark, ref: SecretRef, name: str) -> SecretMetadata | None:
        """What to answer to a create that found something; ``None`` where it has gone meanwhile."""
        found = self._look(name)
        if found is None:
            return None
        if _was_written_by(found, mark):
            return _told(self._operations.remember(mark, answer=found.metadata))
        earlier = self._operations.earlier(mark)
        if earlier is not None:
            return _told(earlier)
        if found.terminating:
            raise Unavailable(
                f'secret {ref} is being deleted: a finalizer on Secret "{object_name(name)}" still keeps it'
            )
        raise AlreadyExists(f"secret {ref} exists already")

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
        """See the port. What Flyte's own service wrote gets our metadata with that."""
        name = storage_name(ref)
        _check(ref, value, actor)
        mark = self._marks.make(operation_id, "update", name, value=value, expected=expected)
        fitting: SecretType | None = None
        for _ in range(_ATTEMPTS):
            found = self._look(name)
            if found is not None and _was_written_by(found, mark):
                return _told(self._operations.remember(mark, answer=found.metadata))
            # In this order: had it been done before we looked, one of the two would tell.
            earlier = self._operations.earlier(mark)
            if earlier is not None:
                return _told(earlier)
            current = self._existing(ref, found)
            if expected is not None and expected != current.metadata.version:
                raise Conflict(f"secret {ref} is at another version than expected: look at it again")
            if fits is not None and fitting is not current.metadata.type:
                fits(current.metadata.type)
                fitting = current.metadata.type
            answer = self._replaced(name, current, value, mark, actor)
            if answer is not None:
                return answer
            _pause()
        raise _busy(ref)

    def _replaced(
        self, name: str, current: Held, value: SecretValue, mark: Mark, actor: str
    ) -> SecretMetadata | None:
        """``None`` where somebody else was faster."""
        self._settle(current)
        before = current.metadata
        at = max(datetime.now(UTC), before.updated_at)
        draft = replace(before, updated_at=at, updated_by=actor, size=len(value))
        changed = self._namespace.change(
            SECRETS, object_name(name), replacement(name, current, draft, value, mark)
        )
        if changed is None:
            return None
        return _told(self._operations.remember(mark, answer=held(changed, name).metadata))

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:  # noqa: ARG002  # the port's
        """See the port."""
        name = storage_name(ref)
        mark = self._marks.make(operation_id, "delete", name)
        begun: Record | None = None
        for _ in range(_ATTEMPTS):
            found = self._look(name)
            record = self._operations.earlier(mark)
            if record is not None and (found is None or found.terminating or found.uid != record.target):
                if begun is None:
                    return  # what an earlier call was about is gone
                # Somebody else was faster than this call.
                self._operations.forget(begun)
                record = begun = None
            current = self._existing(ref, found)
            _was_written_by(current, mark)
            self._settle(current)
            if record is None:
                record = self._operations.remember(mark, target=current.uid)
                begun = record if record.new else None
            if record.target == current.uid and self._deleted(name, current):
                if begun is None:  # who began it may have forgotten it by now
                    self._operations.remember(mark, target=current.uid)
                return
            _pause()
        raise _busy(ref)

    def _deleted(self, name: str, current: Held) -> bool:
        done = self._namespace.delete(
            SECRETS, object_name(name), uid=current.uid, version=current.resource_version
        )
        return done is Deletion.DONE

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See the port."""
        return self._existing(ref, self._look(storage_name(ref))).metadata

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See the port."""
        return listing.page(self._namespace, within, exact=exact, limit=limit, cursor=cursor)

    def close(self) -> None:
        """See the port."""
        self._operations.close()
        self._namespace.close()

    def _look(self, name: str) -> Held | None:
        found: Object | None = self._namespace.find(SECRETS, object_name(name))
        return None if found is None else held(found, name)

    def _existing(self, ref: SecretRef, found: Held | None) -> Held:
        if found is None or found.terminating:
            raise self._absent(ref)
        return found

    def _absent(self, ref: SecretRef) -> NotFound:
        self._namespace.check()
        return NotFound(f"there is no secret {ref}")

    def _settle(self, current: Held) -> None:
        if current.mark is not None:
            self._operations.settle(current.mark, current.metadata)


def _was_written_by(found: Held, mark: Mark) -> bool:
    """Whether this very operation wrote what is there.

    :raises InvalidArgument: its id did, but it was another operation.
    """
    if found.mark is None or found.mark.id != mark.id:
        return False
    mark.check_repeats(found.mark)
    return True


def _told(record: Record) -> SecretMetadata:
    assert record.answer is not None, "only a delete has none, and its mark is told apart"
    return record.answer


def _uid(metadata: SecretMetadata) -> str:
    return metadata.version.partition(".")[0]


def _check(ref: SecretRef, value: SecretValue, actor: str) -> None:
    if len(value) > MAX_VALUE:
        raise TooLarge(f"the value of secret {ref} has {len(value)} bytes, over the limit of {MAX_VALUE}")
    if not actor.isprintable():
        raise InvalidArgument("actor is not valid: printable characters only")


def _pause() -> None:
    time.sleep(random.uniform(0, _PAUSE))  # noqa: S311  # spreads those who compete, no secret


def _busy(ref: SecretRef) -> Conflict:
    return Conflict(f"secret {ref} is being written by others all the time: try again later")
