"""Fresh calls, shared: who arrives while a call is under way shares the next one (I7)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from secrets_svc.core.errors import Unreadable

K = TypeVar("K")
V = TypeVar("V")


class SharedFreshCalls(Generic[K, V]):
    """Answers every ``get`` from a call that began after it, with as few calls as that allows.

    Per key at most one call runs and one more is owed: under any load a key is asked for at most
    ``duration / latency + 2`` times. Keys asked for at once travel in one call.

    :param call: takes the keys, answers those that are there. What it raises goes to all who share it;
        but ``Unreadable`` to those alone who asked for that key.
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
            answers = await self._answers(tuple(batch))
        except BaseException as error:
            answers = dict.fromkeys(batch, error)
            if not isinstance(error, Exception):
                raise
        finally:
            for key, future in batch.items():
                _settle(future, answers.get(key))
                del self._running[key]
            self._start({key: self._owed.pop(key) for key in batch if key in self._owed})

    async def _answers(self, keys: tuple[K, ...]) -> dict[K, V | BaseException]:
        """For each key what is there, or why nobody knows. Keys of several who ask travel together: what is
        wrong with one of them is told to those who asked for that one.
        """
        try:
            found = await self._call(keys)
        except Unreadable as error:
            if len(keys) == 1:
                return {keys[0]: error}
            alone = await asyncio.gather(*(self._answers((key,)) for key in keys))
            return {key: answer for answers in alone for key, answer in answers.items()}
        except Exception as error:
            return dict.fromkeys(keys, error)
        return {key: found[key] for key in keys if key in found}


def _settle(future: asyncio.Future[V | None], answer: V | BaseException | None) -> None:
    if isinstance(answer, BaseException):
        future.set_exception(answer)
        future.exception()  # whoever waited may be gone: that is no one's mistake
    else:
        future.set_result(answer)
