"""Writing to a store that may fail: bounded in number, tried again where that is safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from secrets_svc.core.abilities import KeepsHistory, Purges, RollsBack, VersionInfo, probe
from secrets_svc.core.errors import SecretsError, Unavailable, Unsupported
from secrets_svc.core.ports import Fits, Page, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.health import Health

T = TypeVar("T")


def history_of(writer: SecretWriter, store: str) -> KeepsHistory:
    """``writer``, if it keeps a history.

    :raises Unsupported: it doesn't.
    """
    if not isinstance(writer, KeepsHistory):
        raise Unsupported(f'store "{store}" keeps no earlier versions')
    return writer


def rollback_of(writer: SecretWriter, store: str) -> RollsBack:
    """``writer``, if it can roll back.

    :raises Unsupported: it can't.
    """
    if not isinstance(writer, RollsBack):
        raise Unsupported(
            f'store "{store}" can\'t make an earlier version current without somebody reading its value'
        )
    return writer


def purge_of(writer: SecretWriter) -> Callable[..., None]:
    """What leaves nothing behind: ``purge``, or ``delete`` where that leaves nothing."""
    return writer.purge if isinstance(writer, Purges) else writer.delete


class RetryingWriter:
    """A :class:`SecretWriter` in front of a store's own. Trying again is safe: writes have operation ids.

    :param store: its name. :param at_once: calls that may be under way; more are refused at once, so that a
        store that hangs keeps no threads from the others.
    """

    def __init__(self, *, store: str, writer: SecretWriter, at_once: int) -> None:
        self.health = Health(store)
        self._store = store
        self._writer = writer
        self._places = threading.BoundedSemaphore(at_once)

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See :class:`SecretWriter`."""
        return self._run(
            lambda: self._writer.create(ref, value, type, actor=actor, operation_id=operation_id)
        )

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
        """See :class:`SecretWriter`."""
        return self._run(
            lambda: self._writer.update(
                ref, value, actor=actor, operation_id=operation_id, expected=expected, fits=fits
            )
        )

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :class:`SecretWriter`."""
        self._run(lambda: self._writer.delete(ref, actor=actor, operation_id=operation_id))

    def purge(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :class:`~secrets_svc.core.abilities.Purges`."""
        purge = purge_of(self._writer)
        self._run(lambda: purge(ref, actor=actor, operation_id=operation_id))

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See :class:`SecretWriter`."""
        return self._run(lambda: self._writer.describe(ref))

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See :class:`SecretWriter`."""
        return self._run(lambda: self._writer.list(within, exact=exact, limit=limit, cursor=cursor))

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :class:`~secrets_svc.core.abilities.KeepsHistory`; ``Unsupported`` where it isn't one."""
        keeper = history_of(self._writer, self._store)
        return self._run(lambda: keeper.history(ref, limit=limit))

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :class:`~secrets_svc.core.abilities.RollsBack`; ``Unsupported`` where it isn't one."""
        writer = rollback_of(self._writer, self._store)
        return self._run(
            lambda: writer.rollback(ref, to=to, actor=actor, operation_id=operation_id, expected=expected)
        )

    def probe(self) -> None:
        """See :class:`~secrets_svc.core.abilities.Probes`. Tried once; no part of the store's health."""
        probe(self._writer)

    def close(self) -> None:
        """Close the store's writer."""
        self._writer.close()

    def _run(self, call: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise Unavailable(f'store "{self._store}" is busy: too many calls wait for it', retry_after=1.0)
        try:
            return self._insist(call)
        finally:
            self._places.release()

    def _insist(self, call: Callable[[], T]) -> T:
        attempt = 1
        while True:
            try:
                return self._attempt(call, again=attempt > 1)
            except SecretsError as error:
                pause = self.health.pause(error, attempt)
                if pause is None:
                    error.store = self._store
                    raise
            attempt += 1
            time.sleep(pause)

    def _attempt(self, call: Callable[[], T], *, again: bool) -> T:
        self.health.begin(again=again)
        try:
            result = call()
        except SecretsError as error:
            self.health.failed(error)
            raise
        self.health.succeeded()
        return result
