"""Audit records of what commands do to a store of this machine. Nothing succeeds without one (I5)."""

from __future__ import annotations

import getpass
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from secrets_svc.core.audit import AuditEvent
from secrets_svc.core.errors import Internal, SecretsError, Unavailable
from secrets_svc.core.private_files import write_private
from secrets_svc.runtime.audit_file import AuditFile
from secrets_svc.runtime.stores import open_audit


@contextmanager
def audited(state: Path, action: str, *, unrecorded: Callable[[], str]) -> Iterator[None]:
    """Record in the audit file of ``state`` how the block ended.

    :param unrecorded: called where the block succeeded and its record can't be written: undoes what can be
        undone (I5), and returns how things stand then.
    :raises Unavailable: that is so, or the audit file can't be opened, which is seen before the block.
    """
    with closing(open_audit(state)) as audit:
        try:
            yield
        except BaseException as error:
            outcome = error.code if isinstance(error, SecretsError) else Internal.code
            with suppress(Unavailable):  # what went wrong in the first place is what to tell
                audit.record(_event(action, outcome))
            raise
        try:
            audit.record(_event(action, "ok"))
        except Unavailable as error:
            raise Unavailable(f"the audit record can't be written: {unrecorded()}") from error


@contextmanager
def recorded_first(action: str, *, state: Path, audit_file: Path) -> Iterator[None]:
    """For a block that makes the state folder: its record is on the disk before, and put in place after it.

    A record of success that waits beside the folder takes no room any more when it is put in place, so that
    a full disk is seen before anything is done. If the block fails it is withdrawn.

    :raises Unavailable: it can't be written before, or, told as such, not be put in place after the block.
    """
    event = _event(action, "ok")
    waiting = state.with_name(f".{state.name}.audit-{event.request_id}")
    try:
        waiting.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"folder {waiting.parent} can't be made or used") from error
    write_private(waiting, event.to_json())
    try:
        yield
    except BaseException:
        waiting.unlink(missing_ok=True)
        raise
    try:
        _put_in_place(waiting, audit_file, event)
    except Unavailable as error:
        raise Unavailable(
            f"the {action} to {state} is done, but its audit record can't be added to {audit_file}: "
            f"it lies in {waiting}"
        ) from error


def _put_in_place(waiting: Path, audit_file: Path, event: AuditEvent) -> None:
    try:
        os.link(waiting, audit_file)
    except OSError:  # a server has begun one already, or it is on another disk
        with closing(AuditFile(audit_file)) as audit:
            audit.record(event)
    with suppress(OSError):  # it is where it belongs: a second copy beside the folder does no harm
        waiting.unlink()


def _event(action: str, outcome: str) -> AuditEvent:
    return AuditEvent("keys", action, f"user:{getpass.getuser()}", outcome, uuid.uuid4().hex)
