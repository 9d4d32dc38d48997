"""Several secrets looked up at once, where each is a call of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TypeVar

from secrets_svc.core.errors import Unavailable

K = TypeVar("K")
V = TypeVar("V")


class LookUps:
    """Threads for looking.

    :param at_once: calls under way.
    """

    def __init__(self, at_once: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, "look-up")

    def all(self, look: Callable[[K], V], wanted: Sequence[K]) -> list[V]:
        """What ``look`` finds for each, in order. One failure fails all of it."""
        if len(wanted) <= 1:
            return list(map(look, wanted))
        try:
            return list(self._pool.map(look, wanted))
        except (RuntimeError, CancelledError) as error:
            raise Unavailable("the store is closed") from error

    def close(self) -> None:
        """May be repeated."""
        self._pool.shutdown(wait=False, cancel_futures=True)
