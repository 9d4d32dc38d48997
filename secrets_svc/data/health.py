"""How a store fares: when to ask it again, and when to leave it alone for a while. No I/O, any thread."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping

from secrets_svc.core.errors import DeadlineExceeded, SecretsError, Throttled, Unavailable, Unreadable

#: Failures in a row after which a store is left alone.
THRESHOLD = 5
#: Seconds for which it is, at first and at most; each failed try doubles them. What comes back is noticed
#: within the latter.
FIRST_BREAK = 0.5
LONGEST_BREAK = 5.0
#: Seconds that a store's own word to come back later is heeded at most.
LONGEST_THROTTLE = 30.0
#: Tries of one call, and seconds before the second at most; each further one may take twice that.
ATTEMPTS = 3
FIRST_PAUSE = 0.1
#: Seconds that a retry waits at most, if the store says when to come back.
LONGEST_PAUSE = 1.0
#: Retries that may be saved up. Each first try earns one, so that a store sees at most twice its normal rate.
SAVINGS = 10.0


class Health:
    """Circuit breaker, throttle and retry budget of one store.

    ``closed`` while it answers. After some failures in a row ``open``: calls are refused at once. When a
    break is over, ``half-open``: one call tries.

    :param store: its name, for messages.
    """

    def __init__(
        self,
        store: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._failures = 0
        self._break = FIRST_BREAK
        self._open_until: float | None = None
        self._trying_until = 0.0
        self._throttled_until = 0.0
        self._savings = SAVINGS
        self.refused = 0
        self.retried = 0

    @property
    def state(self) -> str:
        """``closed``, ``open``, ``half-open`` or ``throttled``."""
        now = self._clock()
        with self._lock:
            if self._open_until is not None:
                return "open" if now < self._open_until else "half-open"
            return "throttled" if now < self._throttled_until else "closed"

    def begin(self, *, again: bool = False) -> None:
        """Before a call. Each that this lets through is followed by one of the others.

        :param again: it is a retry.
        :raises Unavailable: it is left alone for now. :raises Throttled: it asked us to.
        """
        now = self._clock()
        with self._lock:
            if now < self._throttled_until:
                raise self._refusal(Throttled, "asked us to slow down", self._throttled_until - now)
            if self._open_until is not None:
                if now < max(self._open_until, self._trying_until):
                    left = max(self._open_until, self._trying_until) - now
                    raise self._refusal(
                        Unavailable, f"has failed {self._failures} times in a row and is left alone", left
                    )
                self._trying_until = now + LONGEST_BREAK  # who tries may never come back
            if not again:
                self._savings = min(SAVINGS, self._savings + 1)

    def _refusal(self, kind: type[SecretsError], why: str, left: float) -> SecretsError:
        self.refused += 1
        return kind(f'store "{self._store}" {why}; tried again in {left:.1f} s', retry_after=left)

    def succeeded(self) -> None:
        """It answered: also that something is absent, or not allowed to its caller."""
        with self._lock:
            self._failures = 0
            self._break = FIRST_BREAK
            self._open_until = None
            self._trying_until = 0.0

    def gave_up(self) -> None:
        """Nobody knows: it wasn't asked, or nobody waited for its answer."""
        with self._lock:
            self._trying_until = 0.0

    def failed(self, error: SecretsError) -> None:
        """It raised ``error``. What says nothing about the store as a whole counts as an answer."""
        if isinstance(error, Throttled):
            with self._lock:
                wait = min(error.retry_after or 0.0, LONGEST_THROTTLE)
                self._throttled_until = max(self._throttled_until, self._clock() + wait)
                self._trying_until = 0.0
            return
        if not isinstance(error, Unavailable | DeadlineExceeded) or isinstance(error, Unreadable):
            self.succeeded()
            return
        with self._lock:
            self._failures += 1
            if self._failures >= THRESHOLD:
                if self._open_until is not None:
                    self._break = min(self._break * 2, LONGEST_BREAK)
                self._open_until = self._clock() + self._break * (0.75 + self._chance() / 4)
            self._trying_until = 0.0

    def pause(self, error: SecretsError, attempt: int, *, left: float = math.inf) -> float | None:
        """Seconds until a call that raised ``error`` may be tried again, ``None`` where it may not.

        :param attempt: how often it was tried, from 1. :param left: seconds that the call has yet.
        """
        if (
            attempt >= ATTEMPTS
            or not isinstance(error, Unavailable | Throttled)
            or isinstance(error, Unreadable)
        ):
            return None
        told = error.retry_after or 0.0
        pause = max(told, FIRST_PAUSE * (1 << (attempt - 1)) * (0.5 + self._chance() / 2))
        if told > LONGEST_PAUSE or pause > left:
            return None
        with self._lock:
            if self._open_until is not None or self._savings < 1:
                return None
            self._savings -= 1
            self.retried += 1
        return pause


def readiness_text(states: Mapping[str, str], *, is_ready: bool) -> str:
    """A line for each store and one for all, in the form of Kubernetes' own ``/readyz?verbose``."""
    lines = [f"[{'+' if state == 'closed' else '-'}]store {name} {state}" for name, state in states.items()]
    return "\n".join([*lines, "ok" if is_ready else "not ready"]) + "\n"
