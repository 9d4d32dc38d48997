"""Writing to a store that may fail: bounded in number and in time, tried again where that is safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from secrets_svc.core import deadline
from secrets_svc.core.abilities import KeepsHistory, Purges, RollsBack, VersionInfo
from secrets_svc.core.errors import DeadlineExceeded, SecretsError, Unavailable, Unsupported
from secrets_svc.core.ports import Fits, Page, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.health import Health
from secrets_svc.data.probing import probe_writer

T = TypeVar("T")

#: Seconds that one call may take, with all that it asks of the store and all its tries. Our own client waits
#: for 10 (``secrets_svc.client.http``), and whoever waits is to hear which of the two it was.
DEADLINE = 8.0
#: Seconds more that a store's own code has to say so itself.
_GRACE = 0.5


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


class _Hearing:
    """Has the store's health hear of a try once: by whoever made it, or by whoever gave it up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_due = False

    def begin(self) -> None:
        self._is_due = True

    def take(self) -> bool:
        """Whether it is the caller's to tell."""
        with self._lock:
            is_due, self._is_due = self._is_due, False
        return is_due


class RetryingWriter:
    """A :class:`SecretWriter` in front of a store's own. Trying again is safe: writes have operation ids.

    :param store: its name. :param at_once: calls that may be under way; more are refused at once, so that a
        store that hangs keeps no threads from the others. :param deadline: seconds for each.
    """

    def __init__(
        self,
        *,
        store: str,
        writer: SecretWriter,
        at_once: int,
        deadline: float = DEADLINE,
        health: Health | None = None,
    ) -> None:
        self.health = health or Health(store)
        self._deadline = deadline
        self._store = store
        self._writer = writer
        self._places = threading.BoundedSemaphore(at_once)
        # Of its own, so that a call can be given up that doesn't come back.
        self._pool = ThreadPoolExecutor(at_once, f"write-{store}")

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
        probe_writer(self._writer)

    def close(self) -> None:
        """Close the store's writer and its threads."""
        self._pool.shutdown(wait=False)
        self._writer.close()

    def _run(self, call: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise Unavailable(f'store "{self._store}" is busy: too many calls wait for it', retry_after=1.0)
        due = time.monotonic() + self._deadline
        hearing = _Hearing()
        try:
            task = self._pool.submit(copy_context().run, self._insist, call, due, hearing)
        except RuntimeError as error:
            self._places.release()
            raise Unavailable(f'store "{self._store}" is closed') from error
        task.add_done_callback(lambda _: self._places.release())  # given up or not, it has its place
        try:
            return task.result(self._deadline + _GRACE)
        except TimeoutError:
            late = self._late()
            if hearing.take():
                self.health.failed(late)
            raise late from None

    def _late(self) -> DeadlineExceeded:
        error = DeadlineExceeded(
            f'store "{self._store}" had not finished within {self._deadline:g} s: it may be done all the same'
        )
        error.store = self._store
        return error

    def _insist(self, call: Callable[[], T], due: float, hearing: _Hearing) -> T:
        with deadline.until(due):
            return self._tried(call, due, hearing)

    def _tried(self, call: Callable[[], T], due: float, hearing: _Hearing) -> T:
        attempt = 1
        while True:
            try:
                return self._attempt(call, hearing, again=attempt > 1)
            except SecretsError as error:
                pause = self.health.pause(error, attempt, left=due - time.monotonic())
                if pause is None:
                    error.store = self._store
                    raise
            attempt += 1
            time.sleep(pause)

    def _attempt(self, call: Callable[[], T], hearing: _Hearing, *, again: bool) -> T:
        self.health.begin(again=again)
        hearing.begin()
        try:
            result = call()
        except SecretsError as error:
            if hearing.take():
                self.health.failed(error)
            raise
        if hearing.take():
            self.health.succeeded()
        return result
