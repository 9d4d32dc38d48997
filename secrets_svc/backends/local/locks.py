"""The lock that the store's tools take on a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secrets_svc.core.errors import Unavailable


@contextmanager
def alone_in(folder: Path, otherwise: str | None = None) -> Iterator[None]:
    """Have the folder's own lock, until the end of the process at the latest.

    :param otherwise: what to say where another process has it; ``None``: wait for it.
    :raises Unavailable: with ``otherwise``.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if otherwise else 0))
        yield
    except BlockingIOError:
        raise Unavailable(otherwise or "") from None
    finally:
        os.close(descriptor)
