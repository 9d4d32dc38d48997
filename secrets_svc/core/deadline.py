"""Until when somebody waits for what is being done, told down to where it is done without a parameter."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DUE: ContextVar[float] = ContextVar("due", default=math.inf)


@contextmanager
def until(due: float) -> Iterator[None]:
    """Within, in this thread or task, somebody waits until ``due`` (``time.monotonic`` seconds)."""
    token = _DUE.set(due)
    try:
        yield
    finally:
        _DUE.reset(token)


def due() -> float:
    """When it is too late; infinity where nobody said."""
    return _DUE.get()


def within(timeout: float) -> float:
    """Seconds that one call may take: ``timeout``, or what is left until :func:`due`; 0 where nothing is."""
    return max(0.0, min(timeout, _DUE.get() - time.monotonic()))
