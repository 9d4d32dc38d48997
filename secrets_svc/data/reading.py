"""Reading: which secret a name means in a scope, decided on calls that began after the question (I4, I7)."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.errors import Changed, DeadlineExceeded, SecretsError
from secrets_svc.core.ports import Resolved, SecretReader, SecretVersion, TellsState
from secrets_svc.core.scope import Scope, precedence_chain
from secrets_svc.core.secret import SecretRef
from secrets_svc.data.sharing import SharedFreshCalls

T = TypeVar("T")

#: Entries; about 300 bytes each.
MAX_REMEMBERED = 100_000


#: For each name the narrowest secret; ``None`` where there is none.
Hits = tuple[Resolved | None, ...]
Found = dict[SecretRef, Resolved]


class Candidates:
    """Where ``names`` are looked for on behalf of ``scope``.

    :ivar refs: all of them in a row. :ivar hits: what won when the store was in ``state``.
    """

    __slots__ = ("_by_name", "hits", "refs", "state")

    def __init__(self, scope: Scope, names: tuple[str, ...]) -> None:
        chain = precedence_chain(scope)
        self._by_name = tuple(tuple(SecretRef(each, name) for each in chain) for name in names)
        self.refs = tuple(ref for refs in self._by_name for ref in refs)
        self.hits: Hits = ()
        self.state: object = None

    def narrowest(self, found: Found) -> Hits:
        """What wins among what was ``found``."""
        return tuple(_first(refs, found) for refs in self._by_name)


def _first(refs: tuple[SecretRef, ...], found: Found) -> Resolved | None:
    return next((found[ref] for ref in refs if ref in found), None)


#: Names in all remembered candidates together; about 1.5 kB each.
MAX_CANDIDATES = 16_384


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
        self._candidates: WeightedCache[tuple[Scope, tuple[str, ...]], Candidates]
        self._candidates = WeightedCache(MAX_CANDIDATES)
        self._remembered: OrderedDict[SecretRef, tuple[float, Resolved | None]] = OrderedDict()
        self._state = reader.state if isinstance(reader, TellsState) else object
        self._pool = None if options.inline else ThreadPoolExecutor(options.threads, f"read-{store}")

    def moment(self) -> Moment:
        """For questions that have all been asked by now."""
        return Moment(self)

    def resolve_at(self, moment: Moment, scope: Scope, names: tuple[str, ...]) -> Hits | None:
        """See :meth:`Moment.resolve`."""
        if not self._options.inline or self._options.max_staleness:
            return None
        candidates = self._candidates_for(scope, names)
        if moment.state is None:
            moment.state = self._state()
        if candidates.state != moment.state:
            # The state was asked for first: what is looked up now is at least that fresh.
            candidates.hits = candidates.narrowest(self._reader.resolve(candidates.refs))
            candidates.state = moment.state
        return candidates.hits

    async def resolve(self, scope: Scope, names: tuple[str, ...]) -> Hits:
        """For each name the narrowest secret that ``scope`` sees, or ``None``.

        :raises SecretsError: the store failed: that is never taken for absence.
        """
        candidates = self._candidates_for(scope, names)
        return candidates.narrowest(await self._resolve_refs(candidates.refs))

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
                self._state()
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

    def _candidates_for(self, scope: Scope, names: tuple[str, ...]) -> Candidates:
        key = (scope, names)
        return self._candidates.get(key) or self._candidates.put(key, Candidates(scope, names), len(names))

    async def _resolve_refs(self, refs: Sequence[SecretRef]) -> Found:
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

    async def _resolve_fresh(self, refs: Sequence[SecretRef]) -> Found:
        if self._options.inline:
            return self._reader.resolve(refs)
        async with _deadline(self._options.deadline, self.store):
            return await self._calls.get(refs)

    async def _resolve_in_thread(self, refs: tuple[SecretRef, ...]) -> Found:
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


class Moment:
    """Looks up what was asked before it was made; what its look-ups share is done once.

    :ivar state: of the store, once it was needed.
    """

    __slots__ = ("_reading", "state")

    def __init__(self, reading: ScopedReading) -> None:
        self._reading = reading
        self.state: object = None

    def resolve(self, scope: Scope, names: tuple[str, ...]) -> Hits | None:
        """What :meth:`ScopedReading.resolve` answers, if it takes no waiting; ``None`` where it does.

        :raises SecretsError: the store failed.
        """
        return self._reading.resolve_at(self, scope, names)


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
