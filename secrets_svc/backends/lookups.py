"""Several secrets looked up at once, where each is a call of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TypeVar

from secrets_svc.core import deadline
from secrets_svc.core.errors import DeadlineExceeded, Unavailable

K = TypeVar("K")
V = TypeVar("V")


class LookUps:
    """Threads for looking.

    :param at_once: calls under way.
    """

    def __init__(self, at_once: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, "look-up")

    def all(self, look: Callable[[K], V], wanted: Sequence[K]) -> list[V]:
        """What ``look`` finds for each, in order. One failure fails all of it.

        What nobody waits for any more by the time that its turn comes isn't looked up.

        :raises DeadlineExceeded: that is so.
        """
        if len(wanted) <= 1:
            return list(map(look, wanted))
        due = deadline.due()

        def in_time(key: K) -> V:
            if time.monotonic() > due:
                raise DeadlineExceeded("there was no time left to look everything up")
            with deadline.until(due):  # which these threads don't know
                return look(key)

        try:
            return list(self._pool.map(in_time, wanted))
        except (RuntimeError, CancelledError) as error:
            raise Unavailable("the store is closed") from error

    def close(self) -> None:
        """May be repeated."""
        self._pool.shutdown(wait=False, cancel_futures=True)
