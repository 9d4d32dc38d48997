"""Waits for what comes soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(
    probe: Callable[[], Found | None], *, what: str, within: float = 30.0, every: float = 0.05
) -> Found:
    """The first answer of ``probe`` that is true.

    :param what: is waited for, for the message.
    :param within: seconds.
    :raises TimeoutError: with the last answer.
    """
    deadline = time.monotonic() + within
    while True:
        if found := probe():
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within:g} s; the last answer was {found!r}")
        time.sleep(every)
