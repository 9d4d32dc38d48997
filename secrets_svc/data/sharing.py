"""Fresh calls, shared: who arrives while a call is under way shares the next one (I7)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SharedFreshCalls(Generic[K, V]):
    """Answers every ``get`` from a call that began after it, with as few calls as that allows.

    Per key at most one call runs and one more is owed: under any load a key is asked for at most
    ``duration / latency + 2`` times. Keys asked for at once travel in one call.

    :param call: takes the keys, answers those that are there; what it raises goes to all who share it.
    """

    def __init__(self, call: Callable[[tuple[K, ...]], Awaitable[dict[K, V]]]) -> None:
        self._call = call
        #: When its call began, and what it will answer.
        self._running: dict[K, tuple[float, asyncio.Future[V | None]]] = {}
        self._owed: dict[K, asyncio.Future[V | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, keys: Iterable[K], *, max_age: float = 0.0) -> dict[K, V]:
        """The values of ``keys`` as of a moment after now; absent keys are left out.

        May be cancelled: calls under way go on for the others.

        :param max_age: seconds; a call that began at most so long ago, and is under way, will do too.
        """
        loop = asyncio.get_running_loop()
        oldest = loop.time() - max_age if max_age else math.inf
        waits: dict[K, asyncio.Future[V | None]] = {}
        startable: dict[K, asyncio.Future[V | None]] = {}
        for key in keys:
            running = self._running.get(key)
            if running is None:
                waits[key] = startable[key] = loop.create_future()
            elif running[0] >= oldest:
                waits[key] = running[1]
            else:
                waits[key] = self._owed.setdefault(key, loop.create_future())
        self._start(startable)
        if waits:
            await asyncio.wait(waits.values())
        results = {key: future.result() for key, future in waits.items()}
        return {key: value for key, value in results.items() if value is not None}

    def _start(self, batch: dict[K, asyncio.Future[V | None]]) -> None:
        if not batch:
            return
        began = asyncio.get_running_loop().time()
        self._running.update({key: (began, future) for key, future in batch.items()})
        task = asyncio.create_task(self._run(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._call(tuple(batch))
        except BaseException as error:
            for future in batch.values():
                future.set_exception(error)
                future.exception()  # whoever waited may be gone: that is no one's mistake
            if not isinstance(error, Exception):
                raise
        else:
            for key, future in batch.items():
                future.set_result(found.get(key))
        finally:
            for key in batch:
                del self._running[key]
            self._start({key: self._owed.pop(key) for key in batch if key in self._owed})
