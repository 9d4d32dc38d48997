"""Reading: which secret a name means in a scope, decided on calls that began after the question (I4, I7)."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.errors import Changed, DeadlineExceeded, SecretsError
from secrets_svc.core.ports import Resolved, SecretReader, SecretVersion
from secrets_svc.core.scope import Scope, precedence_chain
from secrets_svc.core.secret import SecretRef
from secrets_svc.data.sharing import SharedFreshCalls

T = TypeVar("T")

#: Entries; about 300 bytes each.
MAX_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Candidates:
    """Where names are looked for: for each name, narrowest first, and all of them in a row."""

    by_name: tuple[tuple[SecretRef, ...], ...]
    refs: tuple[SecretRef, ...]


def candidates_for(scope: Scope, names: tuple[str, ...]) -> Candidates:
    """Where ``names`` are looked for on behalf of ``scope``."""
    known = _CANDIDATES.get((scope, names))
    if known is None:
        chain = precedence_chain(scope)
        by_name = tuple(tuple(SecretRef(each, name) for each in chain) for name in names)
        fresh = Candidates(by_name, tuple(ref for refs in by_name for ref in refs))
        known = _CANDIDATES.put((scope, names), fresh, len(names))
    return known


#: Weighed by the number of names; about 1.5 kB each.
_CANDIDATES: WeightedCache[tuple[Scope, tuple[str, ...]], Candidates] = WeightedCache(16_384)


def _narrowest(
    candidates: Iterable[tuple[SecretRef, ...]], found: dict[SecretRef, Resolved]
) -> list[Resolved | None]:
    hits: list[Resolved | None] = []
    for refs in candidates:
        hit = None
        for ref in refs:
            hit = found.get(ref)
            if hit is not None:
                break
        hits.append(hit)
    return hits


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How a store is read.

    :param inline: reads take microseconds and run where they are called, without a thread.
    :param deadline: seconds that one call may take.
    :param max_staleness: seconds for which an answer may be given again; 0 asks the store every time.
    :param threads: calls that may run at once.
    """

    inline: bool = False
    deadline: float = 4.0
    max_staleness: float = 0.0
    threads: int = 8


class ScopedReading:
    """Looks names up along the scope chain of one store.

    :param store: its name, for messages. :param reader: holds the reader's identity.
    """

    def __init__(
        self,
        *,
        store: str,
        reader: SecretReader,
        options: ReadingOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._reader = reader
        self._options = options
        self._clock = clock
        self._calls = SharedFreshCalls(self._resolve_in_thread)
        self._failing = False
        self._remembered: OrderedDict[SecretRef, tuple[float, Resolved | None]] = OrderedDict()
        self._pool = None if options.inline else ThreadPoolExecutor(options.threads, f"read-{store}")

    def resolve_now(self, scope: Scope, names: tuple[str, ...]) -> list[Resolved | None] | None:
        """What :meth:`resolve` answers, if it takes no waiting; ``None`` where it does.

        :raises SecretsError: the store failed.
        """
        if not self._options.inline or self._options.max_staleness:
            return None
        candidates = candidates_for(scope, names)
        return _narrowest(candidates.by_name, self._reader.resolve(candidates.refs))

    async def resolve(self, scope: Scope, names: tuple[str, ...]) -> list[Resolved | None]:
        """For each name the narrowest secret that ``scope`` sees, or ``None``.

        :raises SecretsError: the store failed: that is never taken for absence.
        """
        candidates = candidates_for(scope, names)
        return _narrowest(candidates.by_name, await self._resolve_refs(candidates.refs))

    async def read(self, resolved: Resolved) -> SecretVersion:
        """The value at exactly the version of ``resolved``.

        :raises Changed: it was written since: resolve again. :raises NotFound: it was deleted since.
        """
        return await self._run(lambda: self._reader.read(resolved.ref, resolved.token))

    async def resolve_and_read(self, scope: Scope, name: str, *, attempts: int = 4) -> SecretVersion | None:
        """The narrowest secret called ``name`` with its value, or ``None``; follows concurrent writes.

        :raises Changed: it was written during each of ``attempts`` tries.
        """
        for attempt in range(attempts):
            [resolved] = await self.resolve(scope, (name,))
            if resolved is None:
                return None
            try:
                return await self.read(resolved)
            except Changed:
                if attempt == attempts - 1:
                    raise
        return None

    def is_answering(self) -> bool:
        """Whether the store can be read: asked now where that takes no waiting, else as of the last call."""
        if self._options.inline:
            try:
                self._reader.resolve(())
            except SecretsError:
                return False
            return True
        return not self._failing

    def close(self) -> None:
        """Close the reader and its threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._reader.close()

    async def _resolve_refs(self, refs: Sequence[SecretRef]) -> dict[SecretRef, Resolved]:
        if not self._options.max_staleness:
            return await self._resolve_fresh(refs)
        now = self._clock()
        known = {ref: self._remembered[ref][1] for ref in refs if self._is_recent(ref, now)}
        missing = [ref for ref in refs if ref not in known]
        if missing:
            fresh = await self._resolve_fresh(missing)
            for ref in missing:
                known[ref] = fresh.get(ref)
                self._remember(ref, now, known[ref])
        return {ref: resolved for ref, resolved in known.items() if resolved is not None}

    def _is_recent(self, ref: SecretRef, now: float) -> bool:
        entry = self._remembered.get(ref)
        return entry is not None and now - entry[0] <= self._options.max_staleness

    def _remember(self, ref: SecretRef, asked_at: float, resolved: Resolved | None) -> None:
        self._remembered[ref] = (asked_at, resolved)
        self._remembered.move_to_end(ref)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    async def _resolve_fresh(self, refs: Sequence[SecretRef]) -> dict[SecretRef, Resolved]:
        if self._options.inline:
            return self._reader.resolve(refs)
        async with _deadline(self._options.deadline, self.store):
            return await self._calls.get(refs)

    async def _resolve_in_thread(self, refs: tuple[SecretRef, ...]) -> dict[SecretRef, Resolved]:
        return await self._run(lambda: self._reader.resolve(refs))

    async def _run(self, call: Callable[[], T]) -> T:
        if self._pool is None:
            return call()
        try:
            async with _deadline(self._options.deadline, self.store):
                result = await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except SecretsError as error:
            self._failing = error.retryable
            raise
        self._failing = False
        return result


class _deadline:  # used like a function
    """``asyncio.timeout`` whose end is our own error."""

    def __init__(self, seconds: float, store: str) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._text = f'store "{store}" did not answer within {seconds:g} s'

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *exception: object) -> None:
        try:
            await self._timeout.__aexit__(*exception)  # type: ignore[arg-type]
        except TimeoutError as error:
            raise DeadlineExceeded(self._text) from error
