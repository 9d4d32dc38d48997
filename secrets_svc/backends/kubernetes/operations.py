"""Remembers operations, each in a Lease of its own: what a repeated call is answered by.

A secret's object tells its last operation itself, in the same write (``objects.py``). The Lease comes after
that; whoever is about to replace or delete the object sees to it that there is one first. So an operation
that is neither on the object nor in a Lease has not been done. For a delete, after which there is no object,
the Lease comes before, and says which object is meant.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.marks import Mark
from secrets_svc.backends.kubernetes.namespace import LEASES, Deletion, Namespace
from secrets_svc.backends.kubernetes.provenance import moment
from secrets_svc.core.errors import InvalidArgument, SecretsError, Spoilt, Unavailable
from secrets_svc.core.naming import parse_storage_name
from secrets_svc.core.secret import SecretMetadata, SecretType
from secrets_svc.kube.api import Object
from secrets_svc.kube.informer import Metadata

#: Hours that are kept besides the one that has begun: an operation is remembered for two hours at least.
KEPT_HOURS = 2
_PAGE = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """An operation that was done, or a delete that was begun.

    :ivar answer: what the caller was told; not of a delete. :ivar target: uid of the object to be deleted.
    :ivar new: it was not there before.
    """

    uid: str
    mark: Mark
    answer: SecretMetadata | None
    target: str
    new: bool = False


class Operations:
    """The Leases of operations in one namespace.

    :param clock: seconds since 1970.
    """

    def __init__(self, namespace: Namespace, *, clock: Callable[[], float] = time.time) -> None:
        self._namespace = namespace
        self._clock = clock
        self._swept: str | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def earlier(self, mark: Mark) -> Record | None:
        """What is remembered of the operation; ``None`` if it was not done.

        :raises InvalidArgument: its id stood for something else.
        """
        found = self._namespace.find(LEASES, names.lease_name(mark.id))
        if found is None:
            return None
        record = _record(found)
        mark.check_repeats(record.mark)
        return record

    def remember(self, mark: Mark, *, answer: SecretMetadata | None = None, target: str = "") -> Record:
        """Write down that it was done; what was written down before stays, and is returned."""
        body = _lease(mark, answer, target, hour_of(self._clock()))
        for _ in range(2):
            made = self._namespace.create(LEASES, body)
            record = self.earlier(mark) if made is None else replace(_record(made), new=True)
            if record is not None:
                self._sweep_in_time()
                return record
        raise Unavailable("what is remembered of this operation comes and goes: somebody else deletes it")

    def settle(self, mark: Mark, answer: SecretMetadata) -> None:
        """See that an operation is remembered before its traces go, if it is of those that are.

        What is remembered under its id already stays, whatever that is: it is not the caller's business.
        """
        now = self._clock()
        if mark.at >= now - (KEPT_HOURS + 1) * 3600:
            self._namespace.create(LEASES, _lease(mark, answer, "", hour_of(now)))

    def forget(self, record: Record) -> None:
        """It was begun, and came to nothing."""
        self._namespace.delete(LEASES, names.lease_name(record.mark.id), uid=record.uid)

    def close(self) -> None:
        """A sweep that is under way ends soon."""
        self._closing.set()

    def _sweep_in_time(self) -> None:
        """Once an hour, beside the call that happens to come then."""
        hour = hour_of(self._clock())
        with self._lock:
            if self._swept == hour:
                return
            self._swept = hour
        threading.Thread(target=self._sweep_quietly, name="forget operations", daemon=True).start()

    def _sweep_quietly(self) -> None:
        try:
            self.sweep()
        except SecretsError as error:
            if self._closing.is_set():
                return
            _log.warning("old operations stay remembered for another hour: %s", error)
        except Exception as error:
            _log.error("unforeseen %s while forgetting old operations", type(error).__name__)

    def sweep(self) -> int:
        """Forget what is too old; returns how many. An hour ahead is kept too: clocks differ."""
        now = self._clock()
        kept = ",".join(hour_of(now - 3600 * back) for back in range(-1, KEPT_HOURS + 1))
        selector = f"{names.HOUR},{names.HOUR} notin ({kept})"
        forgotten = 0
        while not self._closing.is_set():
            with self._namespace.listing(LEASES):
                page = self._namespace.page(LEASES, selector=selector, limit=_PAGE)
            leases = [Metadata.of(item) for item in page.get("items") or ()]
            gone = sum(map(self._is_gone, leases))
            forgotten += gone
            if len(leases) < _PAGE or not gone:
                break
        return forgotten

    def _is_gone(self, lease: Metadata) -> bool:
        if self._closing.is_set():
            return False
        done = self._namespace.delete(LEASES, lease.name, uid=lease.uid)
        return done is not Deletion.CHANGED


def hour_of(at: float) -> str:
    """As a label. :param at: seconds since 1970."""
    return time.strftime("%Y-%m-%dT%H", time.gmtime(at))


def _lease(mark: Mark, answer: SecretMetadata | None, target: str, hour: str) -> Object:
    annotations = {names.OPERATION: mark.text()}
    if answer is not None:
        annotations[names.ANSWER] = json.dumps(_told(answer), separators=(",", ":"))
    if target:
        annotations[names.TARGET] = target
    return {
        "metadata": {
            "name": names.lease_name(mark.id),
            "labels": {names.HOUR: hour},
            "annotations": annotations,
        },
        "spec": {},
    }


def _record(object_: Object) -> Record:
    found = Metadata.of(object_)
    mark = Mark.parse(found.annotations.get(names.OPERATION, ""))
    if mark is None or names.lease_name(mark.id) != found.name:
        raise _changed_outside()
    answer, target = found.annotations.get(names.ANSWER), found.annotations.get(names.TARGET, "")
    if (answer is None) != (mark.verb == "delete") or (not target) != (answer is not None):
        raise _changed_outside()
    return Record(found.uid, mark, None if answer is None else _answer(answer, mark.name), target)


def _told(answer: SecretMetadata) -> dict[str, Any]:
    return {
        "version": answer.version,
        "type": answer.type.value,
        "created_at": answer.created_at.isoformat(),
        "updated_at": answer.updated_at.isoformat(),
        "created_by": answer.created_by,
        "updated_by": answer.updated_by,
        "size": answer.size,
    }


def _answer(text: str, name: str) -> SecretMetadata:
    try:
        told = json.loads(text)
        created_at, updated_at = moment(told.pop("created_at")), moment(told.pop("updated_at"))
        if created_at is None or updated_at is None:
            raise _changed_outside()
        type_ = SecretType(told.pop("type"))
        return SecretMetadata(
            ref=parse_storage_name(name), type=type_, created_at=created_at, updated_at=updated_at, **told
        )
    except (InvalidArgument, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _changed_outside() from None


def _changed_outside() -> Spoilt:
    return Spoilt(
        "what is remembered of this operation id (Idempotency-Key) was changed outside this service: "
        "look whether the write was done, and take a new one"
    )
