"""Reading one store: fresh calls that are shared, retried and bounded, in threads of the store's own (I7)."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from secrets_svc.core import deadline
from secrets_svc.core.abilities import ReadsFields, ReadsVersions
from secrets_svc.core.errors import (
    DeadlineExceeded,
    NotFound,
    SecretsError,
    Throttled,
    Unavailable,
    Unreadable,
    Unsupported,
)
from secrets_svc.core.ports import Resolved, SecretReader, SecretVersion, TellsState
from secrets_svc.core.secret import SecretRef
from secrets_svc.data.health import Health
from secrets_svc.data.probing import probe_reader
from secrets_svc.data.sharing import SharedFreshCalls

T = TypeVar("T")


class Found(dict[SecretRef, Resolved]):
    """Which references are there.

    :ivar as_of: when the store said so, where it can't be asked now (seconds since the epoch).
    :ivar failure: why it can't.
    """

    as_of: float | None = None
    failure: SecretsError | None = None


#: Entries; about 300 bytes each.
MAX_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How a store is read.

    :param inline: reads take microseconds and run where they are called, without a thread.
    :param deadline: seconds that one call may take, with all its tries.
    :param max_staleness: seconds for which an answer may be given again; 0 asks the store every time.
    :param last_known_good: seconds for which it may be while the store fails, marked as such.
    :param threads: calls that may run at once.
    """

    inline: bool = False
    deadline: float = 4.0
    max_staleness: float = 0.0
    last_known_good: float = 0.0
    threads: int = 8


class StoreReading:
    """The reader of one store. Errors that it raises name the store (``error.store``).

    :param store: its name. :param reader: holds the reader's identity.
    """

    def __init__(
        self,
        *,
        store: str,
        reader: SecretReader,
        options: ReadingOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._wall = wall
        self.health = Health(store)
        self._reader = reader
        self._options = options = options or ReadingOptions()
        self._clock = clock
        self._calls = SharedFreshCalls(self._resolve_in_thread)
        self._version_calls = SharedFreshCalls(self._resolve_versions_in_thread)
        self._remembered: OrderedDict[SecretRef, tuple[float, Resolved | None]] = OrderedDict()
        self._pool = None if options.inline else ThreadPoolExecutor(options.threads, f"read-{store}")

    @property
    def takes_no_waiting(self) -> bool:
        """Whether :meth:`resolve_now` may be called."""
        return self._options.inline and not self._options.max_staleness

    def state(self) -> Hashable:
        """Equal to an earlier one only if nobody has written in between. Raises what the store raises."""
        if not isinstance(self._reader, TellsState):
            return object()
        try:
            return self._reader.state()
        except SecretsError as error:
            error.store = self.store
            raise

    def resolve_now(self, refs: Sequence[SecretRef]) -> Found:
        """As :meth:`resolve`, of an inline store."""
        try:
            return Found(self._reader.resolve(refs))
        except SecretsError as error:
            error.store = self.store
            raise

    async def resolve(self, refs: Sequence[SecretRef]) -> Found:
        """Which of ``refs`` are there, by a call that began after this one, or as lately as may be.

        :raises SecretsError: the store failed: that is never taken for absence.
        """
        try:
            return await self._resolve_lately(refs)
        except (Unavailable, DeadlineExceeded, Throttled) as failure:
            known = self._recalled(refs, failure)
            if known is None:
                raise
            return known

    async def _resolve_lately(self, refs: Sequence[SecretRef]) -> Found:
        if not self._options.max_staleness:
            return await self._resolve_fresh(refs)
        now = self._clock()
        known = {ref: self._remembered[ref][1] for ref in refs if self._is_recent(ref, now)}
        missing = [ref for ref in refs if ref not in known]
        if missing:
            fresh = await self._resolve_fresh(missing)
            known |= {ref: fresh.get(ref) for ref in missing}
        return Found({ref: resolved for ref, resolved in known.items() if resolved is not None})

    def _recalled(self, refs: Sequence[SecretRef], failure: SecretsError) -> Found | None:
        """What the store said last, if that may serve while it fails and all of it is young enough."""
        if not self._options.last_known_good or isinstance(failure, Unreadable):
            return None
        entries = [self._remembered.get(ref) for ref in refs]
        known = [entry for entry in entries if entry is not None]
        age = self._clock() - min((asked_at for asked_at, _ in known), default=-math.inf)
        if len(known) < len(refs) or age > self._options.last_known_good:
            return None
        found = Found({resolved.ref: resolved for _, resolved in known if resolved is not None})
        found.as_of, found.failure = self._wall() - age, failure
        return found

    async def resolve_version(self, ref: SecretRef, version: str) -> Resolved | None:
        """That version of ``ref``; ``None`` where there is none, or its value isn't kept.

        :raises Unsupported: no earlier versions are kept here.
        """
        async with self._deadline():
            return (await self._version_calls.get([(ref, version)])).get((ref, version))

    async def read(self, resolved: Resolved) -> SecretVersion:
        """The value at exactly the version of ``resolved``, or the field of it.

        :raises Changed: it was written since: resolve again. :raises NotFound: it was deleted since.
        :raises Unsupported, InvalidArgument: there is no such field to give.
        """
        return await self._run(lambda: self._read(resolved))

    @property
    def condition(self) -> str:
        """As :attr:`~secrets_svc.data.health.Health.state`: asked now where that takes no waiting, else as of
        the last calls.
        """
        if not self._options.inline:
            return self.health.state
        try:
            self.state()
            self._reader.resolve(())
        except SecretsError:
            return "open"
        return "closed"

    def is_answering(self) -> bool:
        """Whether it is worth asking: when a break is over, only somebody who asks can tell."""
        return self.condition != "open"

    def probe(self) -> None:
        """See :class:`~secrets_svc.core.abilities.Probes`. It waits, and is no part of the store's health; of
        one that answers inline nothing is asked.
        """
        if not self._options.inline:
            probe_reader(self._reader)

    def close(self) -> None:
        """Close the reader and its threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._reader.close()

    def _is_recent(self, ref: SecretRef, now: float) -> bool:
        entry = self._remembered.get(ref)
        return entry is not None and now - entry[0] <= self._options.max_staleness

    def _remember(self, refs: Sequence[SecretRef], asked_at: float, found: Found) -> None:
        if not (self._options.max_staleness or self._options.last_known_good):
            return
        for ref in refs:
            self._remembered[ref] = (asked_at, found.get(ref))
            self._remembered.move_to_end(ref)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    async def _resolve_fresh(self, refs: Sequence[SecretRef]) -> Found:
        if self._options.inline:
            asked_at = self._clock()
            found = self.resolve_now(refs)
            self._remember(refs, asked_at, found)
            return found
        async with self._deadline():
            return Found(await self._calls.get(refs, max_age=self._options.max_staleness))

    async def _resolve_in_thread(self, refs: tuple[SecretRef, ...]) -> Found:
        asked_at = self._clock()
        found = Found(await self._run(lambda: self._reader.resolve(refs)))
        self._remember(refs, asked_at, found)
        return found

    async def _resolve_versions_in_thread(
        self, keys: tuple[tuple[SecretRef, str], ...]
    ) -> dict[tuple[SecretRef, str], Resolved]:
        return await self._run(lambda: self._resolve_versions(keys))

    def _resolve_versions(
        self, keys: Sequence[tuple[SecretRef, str]]
    ) -> dict[tuple[SecretRef, str], Resolved]:
        reader, found = self._version_reader(), {}
        for ref, version in keys:
            with suppress(NotFound):
                found[ref, version] = reader.resolve_version(ref, version)
        return found

    def _read(self, resolved: Resolved) -> SecretVersion:
        ref, token = resolved.ref, resolved.token
        if resolved.field is None:
            return (
                self._version_reader().read_version(ref, token)
                if resolved.pinned
                else self._reader.read(ref, token)
            )
        if resolved.pinned or not isinstance(self._reader, ReadsFields):
            raise Unsupported(f'store "{self.store}" gives whole values only: leave "field" out')
        return self._reader.read_field(ref, token, resolved.field)

    def _version_reader(self) -> ReadsVersions:
        if not isinstance(self._reader, ReadsVersions):
            raise Unsupported(f'store "{self.store}" keeps no earlier versions: leave "version" out')
        return self._reader

    async def _run(self, call: Callable[[], T]) -> T:
        """``call``, again where that is safe (reading always is) and makes sense."""
        attempt = 1
        due = asyncio.get_running_loop().time() + self._options.deadline
        while True:
            try:
                return await self._attempt(call, due, again=attempt > 1)
            except SecretsError as error:
                left = due - asyncio.get_running_loop().time()
                pause = self.health.pause(error, attempt, left=left) if self._pool is not None else None
                if pause is None:
                    error.store = self.store
                    raise
            attempt += 1
            await asyncio.sleep(pause)

    async def _attempt(self, call: Callable[[], T], due: float, *, again: bool) -> T:
        """One try, which is heard of once, whoever waits for it. What waits for a thread of ours until it is
        late isn't begun any more, and says nothing about the store.
        """
        if self._pool is None:
            return call()
        self.health.begin(again=again)
        begun = False

        def begin() -> T:
            nonlocal begun
            begun = True
            with deadline.until(due):
                return call()

        try:
            async with asyncio.timeout_at(due):
                result = await asyncio.get_running_loop().run_in_executor(self._pool, begin)
        except TimeoutError:
            late = self._late()
            if begun:
                self.health.failed(late)
            else:
                self.health.gave_up()
            raise late from None
        except SecretsError as error:
            self.health.failed(error)
            raise
        except asyncio.CancelledError:
            self.health.gave_up()
            raise
        self.health.succeeded()
        return result

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        """For one who waits: calls under way go on for the others."""
        try:
            async with asyncio.timeout(self._options.deadline):
                yield
        except TimeoutError:
            raise self._late() from None

    def _late(self) -> DeadlineExceeded:
        error = DeadlineExceeded(f'store "{self.store}" did not answer within {self._options.deadline:g} s')
        error.store = self.store
        return error
