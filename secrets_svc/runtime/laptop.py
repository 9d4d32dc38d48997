"""Reading on the machine that holds the state folder: the laptop's own reader key, audited."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from secrets_svc.core.audit import AuditEvent, AuditSecret, AuditSink
from secrets_svc.core.errors import Unavailable
from secrets_svc.core.scope import Scope
from secrets_svc.data.reading import ScopedReading
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.stores import configured_stores, open_audit

#: Seconds for one call; a person waits.
DEADLINE = 10.0


@dataclass(frozen=True, slots=True)
class Laptop:
    """A reader on this machine, and the audit file beside it."""

    reading: ScopedReading
    audit: AuditSink

    def record_run(self, outcome: str, scope: Scope, secrets: tuple[AuditSecret, ...] = ()) -> None:
        """Record that the user of this process read ``secrets`` for a task."""
        event = AuditEvent(
            surface="run",
            action="read",
            actor=f"user:{getpass.getuser()}",
            outcome=outcome,
            request_id=uuid.uuid4().hex,
            secrets=secrets,
            detail={"scope": str(scope)},
        )
        self.audit.record(event)


@contextmanager
def open_laptop(state: Path, settings: Settings | None = None) -> Iterator[Laptop]:
    """The reader of the embedded store in ``state``, or of the stores that ``settings`` configure.

    :raises Unavailable: there is no state folder.
    """
    if not state.is_dir():
        raise Unavailable(f'there is no state folder {state}; "secret serve all" makes one')
    settings = settings or Settings()
    audit = open_audit(state)
    try:
        reading = configured_stores(settings, state).open_reading(deadline=DEADLINE)
        try:
            yield Laptop(reading, audit)
        finally:
            reading.close()
    finally:
        audit.close()
