"""The writer's side. It sees names of keys, never a value."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from secrets_svc.backends.vault import listing
from secrets_svc.backends.vault.documents import FORM, Held, document, new_meta, next_meta, tombstone
from secrets_svc.backends.vault.kv import Kv
from secrets_svc.backends.vault.limits import MAX_VALUE
from secrets_svc.backends.vault.operations import Operation, Operations
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.errors import (
    AlreadyExists,
    Conflict,
    InvalidArgument,
    NotFound,
    SecretsError,
    Spoilt,
    TooLarge,
)
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Fits, Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

#: Tries while others write the same secret; and seconds between two, at most.
_ATTEMPTS = 16
_PAUSE = 0.02
#: Versions whose writer is looked up for one history.
_MAX_HISTORY = 100


#: What to put in the place of what is there; ``None``: that is what is wanted.
Pick = Callable[[SecretMetadata], SecretValue | None]


class VaultWriter:
    """See :class:`secrets_svc.core.ports.SecretWriter`; beside it ``KeepsHistory``, ``Purges``, ``Probes``.

    :param kv: with the writer's identity. :param close: lets go of its connections.
    """

    def __init__(self, kv: Kv, *, close: Callable[[], None] = lambda: None) -> None:
        self._kv = kv
        self._operations = Operations(kv)
        self._close = close

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See the port."""
        path = self._kv.paths.secret(ref)
        _check(ref, value, actor)
        operation = self._operations.claim(operation_id, "create", ref, value=value, type=type)
        if operation.answer is not None:
            return operation.answer
        try:
            draft = new_meta(type=type, size=len(value), actor=actor, operation=operation.path)
            return self._create(ref, path, value, draft, operation)
        except (AlreadyExists, Conflict):
            self._operations.forget(operation)
            raise

    def _create(
        self,
        ref: SecretRef,
        path: str,
        value: SecretValue,
        draft: dict[str, str],
        operation: Operation,
    ) -> SecretMetadata:
        for _ in range(_ATTEMPTS):
            found = self._kv.look(path)
            if found is not None and found.is_there:
                if found.operation == operation.path:
                    return self._finished(operation, found.metadata(ref))
                raise AlreadyExists(f"secret {ref} exists already")
            if found is not None and not found.version.gone and not found.is_ours:
                raise Conflict(
                    f"what lies at the path of secret {ref} is no secret of this service and stays as it is: "
                    "remove it with the server's own tools, or use another name"
                )
            before = 0 if found is None else found.version.number
            meta = {**draft, "first": str(before + 1)}
            made = self._kv.write(path, document(meta, value), cas=before)
            if made is not None:
                return self._finished(operation, Held(made, meta).metadata(ref))
            _pause()
        raise _busy(ref)

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
        _check(ref, value, actor)
        operation = self._operations.claim(operation_id, "update", ref, value=value, expected=expected)

        def pick(before: SecretMetadata) -> SecretValue:
            if fits is not None:
                fits(before.type)
            return value

        return self._change(ref, pick, operation, actor=actor, expected=expected)

    def _change(
        self, ref: SecretRef, pick: Pick, operation: Operation, *, actor: str, expected: str | None
    ) -> SecretMetadata:
        if operation.answer is not None:
            return operation.answer
        try:
            return self._replace(ref, pick, operation, actor=actor, expected=expected)
        except (NotFound, Conflict, InvalidArgument):
            self._operations.forget(operation)
            raise

    def _replace(
        self, ref: SecretRef, pick: Pick, operation: Operation, *, actor: str, expected: str | None
    ) -> SecretMetadata:
        path = self._kv.paths.secret(ref)
        for _ in range(_ATTEMPTS):
            current = self._existing(ref, path)
            before = current.metadata(ref)
            if current.operation == operation.path:
                return self._finished(operation, before)
            if expected is not None and expected != before.version:
                raise Conflict(f"secret {ref} is at another version than expected: look at it again")
            value = pick(before)
            if value is None:
                return self._finished(operation, before)
            self._operations.settle(current, ref)
            meta = next_meta(
                current, at=before.created_at, size=len(value), actor=actor, operation=operation.path
            )
            made = self._kv.write(path, document(meta, value), cas=current.version.number)
            if made is not None:
                return self._finished(operation, Held(made, meta).metadata(ref))
            _pause()
        raise _busy(ref)

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:  # noqa: ARG002  # the port's
        """See the port. The server's own tools can bring it back, until it is created again or purged."""
        self._delete(ref, operation_id, "delete", for_good=False)

    def purge(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:  # noqa: ARG002  # the port's
        """See :class:`~secrets_svc.core.abilities.Purges`. That there were versions is still known."""
        self._delete(ref, operation_id, "purge", for_good=True)

    def _delete(self, ref: SecretRef, operation_id: str, verb: str, *, for_good: bool) -> None:
        path = self._kv.paths.secret(ref)
        storage_name(ref)
        operation = self._operations.claim(operation_id, verb, ref)
        if operation.is_done:
            return
        try:
            self._try_to_delete(ref, path, operation, for_good=for_good)
        except NotFound:
            self._operations.forget(operation)
            raise

    def _try_to_delete(self, ref: SecretRef, path: str, operation: Operation, *, for_good: bool) -> None:
        for _ in range(_ATTEMPTS):
            found = self._kv.look(path)
            # Begun by an earlier call, which may have died: only what it was about is deleted.
            is_over = found is None or found.version.token != operation.target
            if operation.target is not None and not operation.begun_here and is_over:
                self._clear_away(path, found, operation.target, for_good=for_good)
                self._operations.finish(operation, None)
                return
            current = _purgeable(ref, found) if for_good else _existing(ref, found)
            self._operations.settle(current, ref)
            self._operations.aim(operation, current.version.token)
            marked = self._kv.write(path, tombstone(operation.path), cas=current.version.number)
            if marked is not None:
                mark = Held(marked, {"form": FORM, "deleted": ""})
                self._clear_away(path, mark, current.version.token, for_good=for_good)
                self._operations.finish(operation, None)
                return
            _pause()
        raise _busy(ref)

    def _clear_away(self, path: str, found: Held | None, target: str, *, for_good: bool) -> None:
        """What lies behind the tombstone, if there is one; never what was created since.

        :param target: version token of what the tombstone was for.
        """
        has_tombstone = found is not None and not found.version.gone and found.is_deleted
        if found is not None and for_good:
            last = found.version.number if has_tombstone else int(target.partition("-")[0])
            self._kv.destroy_versions(path, list(range(1, last + 1)))
        elif found is not None and has_tombstone:
            self._kv.delete_versions(path, list(range(1, found.version.number + 1)))

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See the port."""
        return self._existing(ref, self._kv.paths.secret(ref)).metadata(ref)

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See the port."""
        return listing.page(self._kv, within, exact=exact, limit=limit, cursor=cursor)

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :class:`~secrets_svc.core.abilities.KeepsHistory`."""
        listing.check_limit(limit)
        path = self._kv.paths.secret(ref)
        current = self._existing(ref, path)
        known = [each for each in self._kv.versions(path) if current.first <= each.number]
        wanted = [each for each in reversed(known) if each.number <= current.version.number]
        infos = []
        for version in wanted[: min(limit, _MAX_HISTORY)]:
            found = None if version.gone else self._kv.look(path, version.number)
            meta = (found.meta or {}) if found is not None else {}
            size = meta.get("size", "")
            info = VersionInfo(
                version=version.token,
                created_at=version.at,
                created_by=meta.get("updated_by"),
                current=version.number == current.version.number,
                readable=not version.gone,
                size=int(size) if size.isascii() and size.isdigit() else None,
            )
            infos.append(info)
        return tuple(infos)

    def probe(self) -> None:
        """See :class:`secrets_svc.core.abilities.Probes`."""
        self._kv.probe()

    def close(self) -> None:
        """See the port."""
        self._close()

    def _existing(self, ref: SecretRef, path: str) -> Held:
        storage_name(ref)
        return _existing(ref, self._kv.look(path))

    def _finished(self, operation: Operation, answer: SecretMetadata) -> SecretMetadata:
        try:
            self._operations.finish(operation, answer)
        except SecretsError as error:
            if isinstance(error, Spoilt):
                raise
            # It was done, and the document says by whom: the next one completes the record.
        return answer


def _existing(ref: SecretRef, found: Held | None) -> Held:
    if found is None or not found.is_there:
        raise NotFound(f"there is no secret {ref}")
    return found


def _purgeable(ref: SecretRef, found: Held | None) -> Held:
    """Also what was deleted in a way that can be taken back."""
    was_deleted = found is not None and (found.version.gone or found.is_deleted)
    if found is None or found.version.destroyed or not (found.is_there or was_deleted):
        raise NotFound(f"there is no secret {ref}")
    return found


def _check(ref: SecretRef, value: SecretValue, actor: str) -> None:
    storage_name(ref)
    if len(value) > MAX_VALUE:
        raise TooLarge(f"the value of secret {ref} has {len(value)} bytes, over the limit of {MAX_VALUE}")
    check_actor(actor)


def check_actor(actor: str) -> None:
    """Raise ``InvalidArgument`` unless it can be written down."""
    if not actor.isprintable():
        raise InvalidArgument("actor is not valid: printable characters only")


def _pause() -> None:
    time.sleep(random.uniform(0, _PAUSE))  # noqa: S311  # spreads those who compete, no secret


def _busy(ref: SecretRef) -> Conflict:
    return Conflict(f"secret {ref} is being written by others all the time: try again later")
