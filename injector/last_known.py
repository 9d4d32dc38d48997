"""Going on with what a store said last, while it can't be asked: off unless the operator says for how long.

Only versions are remembered, never values: a pod gets what is staged beside it already, or nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from injector.delivery.staging import Staging
from secrets_svc.core.errors import DeadlineExceeded, SecretsError, Spoilt, Throttled, Unavailable
from secrets_svc.core.ports import Resolved
from secrets_svc.core.scope import Scope, precedence_chain
from secrets_svc.core.secret import Selector
from secrets_svc.data.reading import Hits, ScopedReading

#: Selectors in scopes; about 400 bytes each.
MAX_KNOWN = 16_384
#: Seconds that stores which are well get to tell about the selectors that another one didn't decide.
_GRACE = 0.5


class LookedUp(NamedTuple):
    """What was asked for.

    :ivar as_of: for what no store could be asked about: when one last was (seconds since the epoch).
    """

    hits: Hits
    as_of: Mapping[Selector, float]


class _Known(NamedTuple):
    asked_at: float
    as_of: float
    hit: Resolved


class LastKnownGood:
    """Looks names up; where their store fails, they mean what they did a short while ago.

    :param max_age: seconds for which that may serve. :param staging: tells what is beside a pod already.
    :param clock: seconds that only grow. :param wall: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        max_age: float,
        reading: ScopedReading,
        staging: Staging,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._max_age = max_age
        self._reading = reading
        self._staging = staging
        self._clock = clock
        self._wall = wall
        self._known: OrderedDict[tuple[Scope, Selector], _Known] = OrderedDict()

    async def resolve(self, namespace: str, scope: Scope, selectors: tuple[Selector, ...]) -> LookedUp:
        """For each selector the narrowest secret, now or a short while ago, or ``None``.

        :raises SecretsError: a store failed, and nothing young enough is known of one of them, or it isn't
            staged in ``namespace``.
        """
        try:
            return LookedUp(await self._ask(scope, selectors), {})
        except (Unavailable, DeadlineExceeded, Throttled) as error:
            if isinstance(error, Spoilt):
                raise
            fresh = await self._ask_for_each(scope, selectors)
            known = {
                selector: self._recall(namespace, scope, selector)
                for selector in selectors
                if selector not in fresh
            }
            if None in known.values():
                raise
        found = {selector: each for selector, each in known.items() if each is not None}
        hits = tuple(fresh[selector] if selector in fresh else found[selector].hit for selector in selectors)
        return LookedUp(hits, {selector: each.as_of for selector, each in found.items()})

    async def _ask(self, scope: Scope, selectors: tuple[Selector, ...]) -> Hits:
        asked_at, as_of = self._clock(), self._wall()
        hits = await self._reading.resolve(scope, selectors)
        for selector, hit in zip(selectors, hits, strict=True):
            self._known.pop((scope, selector), None)  # also what is gone
            if hit is not None:
                self._known[scope, selector] = _Known(asked_at, as_of, hit)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return hits

    async def _ask_for_each(
        self, scope: Scope, selectors: tuple[Selector, ...]
    ) -> dict[Selector, Resolved | None]:
        """What stores that are well can decide by themselves."""
        if len({self._reading.store_of(each) for each in precedence_chain(scope)}) == 1:
            return {}
        tasks = {asyncio.create_task(self._ask(scope, (selector,))): selector for selector in selectors}
        try:
            done, _ = await asyncio.wait(tasks, timeout=_GRACE)
        finally:
            for task in tasks:
                task.cancel()
        told: dict[Selector, Resolved | None] = {}
        for task in done:
            error = task.exception()
            if error is None:
                [told[tasks[task]]] = task.result()
            elif not isinstance(error, SecretsError):
                raise error
        return told

    def _recall(self, namespace: str, scope: Scope, selector: Selector) -> _Known | None:
        known = self._known.get((scope, selector))
        if known is None or self._clock() - known.asked_at > self._max_age:
            return None
        return known if self._staging.staged(namespace, known.hit) is not None else None
