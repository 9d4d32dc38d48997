"""One server a state folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secrets_svc.core.errors import Unavailable
from secrets_svc.runtime.files import private_folder


@contextmanager
def hold_state(state: Path) -> Iterator[None]:
    """Keep other servers out of ``state`` for as long as this process lives or the block lasts.

    :raises Unavailable: another process holds it; the message has its process id.
    """
    private_folder(state)
    try:
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"state folder {state} can't be written: look at its owner and its disk") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise Unavailable(f"state folder {state} is held by another process (pid {holder})") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(descriptor)
