"""The writer's side. It asks for metadata alone, so that no value ever comes back to it."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, datetime

from secrets_svc.backends.kubernetes import listing
from secrets_svc.backends.kubernetes.marks import Mark, Marks
from secrets_svc.backends.kubernetes.names import object_name
from secrets_svc.backends.kubernetes.namespace import SECRETS, Change, Deletion, Namespace
from secrets_svc.backends.kubernetes.objects import Held, held, is_strangers, new_object, taken
from secrets_svc.backends.kubernetes.operations import Operations, Record
from secrets_svc.backends.kubernetes.patches import replacement, rollback
from secrets_svc.backends.kubernetes.versions import MAX_SIZE
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.errors import (
    AlreadyExists,
    Conflict,
    InvalidArgument,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
)
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Fits, Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.api import Object, Patch

#: Bytes: a value may fill the whole object; then nothing is kept beside it.
MAX_VALUE = MAX_SIZE
#: Tries while others write the same secret; and seconds between two, at most.
_ATTEMPTS = 12
_PAUSE = 0.02


class KubernetesWriter:
    """See :class:`secrets_svc.core.ports.SecretWriter`, and ``KeepsHistory`` and ``RollsBack`` beside it.

    :param namespace: where the secrets are; closed with this. :param versions: of a secret that are kept, the
        current one included.
    """

    def __init__(self, namespace: Namespace, *, versions: int = 1) -> None:
        self._namespace = namespace
        self._versions = versions
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
        object_ = self._namespace.find(SECRETS, object_name(name))
        if object_ is None:
            return None
        if is_strangers(object_, name):
            raise taken(name)
        found = held(object_, name)
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
            current = self._done_or_current(ref, name, mark, expected)
            if isinstance(current, SecretMetadata):
                return current
            if fits is not None and fitting is not current.metadata.type:
                fits(current.metadata.type)
                fitting = current.metadata.type
            draft = _draft(current, actor, len(value))
            patches = replacement(name, current, draft, value, mark, versions=self._versions)
            answer = self._changed(name, current, mark, patches)
            if isinstance(answer, SecretMetadata):
                return answer
            _pause()
        raise _busy(ref)

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :class:`~secrets_svc.core.abilities.RollsBack`. It is a new version, with the value of ``to``.

        To what is current already, nothing is written but that it was asked.

        :raises Unsupported: nothing of before is kept.
        """
        self._check_kept()
        name = storage_name(ref)
        _check_actor(actor)
        mark = self._marks.make(operation_id, "rollback", name, expected=expected, to=to)
        lacking = ""  # the version of the object in which the value may not be there
        for _ in range(_ATTEMPTS):
            current = self._done_or_current(ref, name, mark, expected)
            if isinstance(current, SecretMetadata):
                return current
            if to == current.metadata.version:
                return _told(self._operations.remember(mark, answer=current.metadata))
            note = next((each for each in current.earlier if each.version == to), None)
            if note is None or current.resource_version == lacking:
                raise NotFound(f"secret {ref} has no such version, or its value is no longer kept")
            draft = _draft(current, actor, note.size)
            patches = rollback(name, current, draft, note, mark, versions=self._versions)
            answer = self._changed(name, current, mark, patches, may_lack=True)
            if isinstance(answer, SecretMetadata):
                return answer
            if answer is Change.LACKING:
                lacking = current.resource_version
            _pause()
        raise _busy(ref)

    def _check_kept(self) -> None:
        if self._versions == 1:
            raise Unsupported(
                "earlier versions are not kept in this store, so there is none to go back to: it would take "
                '"versions" of 2 or more in the settings of the store, from before the value was replaced'
            )

    def _done_or_current(
        self, ref: SecretRef, name: str, mark: Mark, expected: str | None
    ) -> SecretMetadata | Held:
        """What the call was told when it was done; or what it is to change."""
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
        return current

    def _changed(
        self,
        name: str,
        current: Held,
        mark: Mark,
        patches: tuple[Patch, ...],
        *,
        may_lack: bool = False,
    ) -> SecretMetadata | Change:
        self._settle(current)
        changed = self._namespace.change(SECRETS, object_name(name), *patches, may_lack=may_lack)
        if isinstance(changed, Change):
            return changed
        return _told(self._operations.remember(mark, answer=held(changed, name).metadata))

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :class:`~secrets_svc.core.abilities.KeepsHistory`. What others replaced is not part of it."""
        listing.check_limit(limit)
        current = self._existing(ref, self._look(storage_name(ref)))
        return (_info(current.metadata), *(note.info() for note in current.earlier))[:limit]

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
        """``None`` also for what somebody else made: it is no secret, and stays as it is."""
        found: Object | None = self._namespace.find(SECRETS, object_name(name))
        return None if found is None or is_strangers(found, name) else held(found, name)

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


def _draft(current: Held, actor: str, size: int | None) -> SecretMetadata:
    """What the metadata are to be; the version is for the API server to say."""
    at = max(datetime.now(UTC), current.metadata.updated_at)
    return replace(current.metadata, updated_at=at, updated_by=actor, size=size)


def _info(current: SecretMetadata) -> VersionInfo:
    return VersionInfo(
        current.version, current.updated_at, current.updated_by, current=True, size=current.size
    )


def _check(ref: SecretRef, value: SecretValue, actor: str) -> None:
    if len(value) > MAX_VALUE:
        raise TooLarge(f"the value of secret {ref} has {len(value)} bytes, over the limit of {MAX_VALUE}")
    _check_actor(actor)


def _check_actor(actor: str) -> None:
    if not actor.isprintable():
        raise InvalidArgument("actor is not valid: printable characters only")


def _pause() -> None:
    time.sleep(random.uniform(0, _PAUSE))  # noqa: S311  # spreads those who compete, no secret


def _busy(ref: SecretRef) -> Conflict:
    return Conflict(f"secret {ref} is being written by others all the time: try again later")
