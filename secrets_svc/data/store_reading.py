"""Reading one store: fresh calls that are shared, retried and bounded, in threads of the store's own (I7)."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from secrets_svc.core.abilities import ReadsFields, ReadsVersions
from secrets_svc.core.errors import DeadlineExceeded, NotFound, SecretsError, Unsupported
from secrets_svc.core.ports import Resolved, SecretReader, SecretVersion, TellsState
from secrets_svc.core.secret import SecretRef
from secrets_svc.data.health import Health
from secrets_svc.data.sharing import SharedFreshCalls

T = TypeVar("T")
Found = dict[SecretRef, Resolved]

#: Entries; about 300 bytes each.
MAX_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How a store is read.

    :param inline: reads take microseconds and run where they are called, without a thread.
    :param deadline: seconds that one call may take, with all its tries.
    :param max_staleness: seconds for which an answer may be given again; 0 asks the store every time.
    :param threads: calls that may run at once.
    """

    inline: bool = False
    deadline: float = 4.0
    max_staleness: float = 0.0
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
    ) -> None:
        self.store = store
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
            return self._reader.resolve(refs)
        except SecretsError as error:
            error.store = self.store
            raise

    async def resolve(self, refs: Sequence[SecretRef]) -> Found:
        """Which of ``refs`` are there, by a call that began after this one, or as lately as may be.

        :raises SecretsError: the store failed: that is never taken for absence.
        """
        if not self._options.max_staleness:
            return await self._resolve_fresh(refs)
        now = self._clock()
        known = {ref: self._remembered[ref][1] for ref in refs if self._is_recent(ref, now)}
        missing = [ref for ref in refs if ref not in known]
        if missing:
            fresh = await self._resolve_fresh(missing)
            known |= {ref: fresh.get(ref) for ref in missing}
        return {ref: resolved for ref, resolved in known.items() if resolved is not None}

    async def resolve_version(self, ref: SecretRef, version: str) -> Resolved | None:
        """That version of ``ref``; ``None`` where there is none, or its value isn't kept.

        :raises Unsupported: no earlier versions are kept here.
        """
        async with _deadline(self._options.deadline, self):
            return (await self._version_calls.get([(ref, version)])).get((ref, version))

    async def read(self, resolved: Resolved) -> SecretVersion:
        """The value at exactly the version of ``resolved``, or the field of it.

        :raises Changed: it was written since: resolve again. :raises NotFound: it was deleted since.
        :raises Unsupported, InvalidArgument: there is no such field to give.
        """
        async with _deadline(self._options.deadline, self):
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
        """Whether it can be read."""
        return self.condition in {"closed", "throttled"}

    def close(self) -> None:
        """Close the reader and its threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._reader.close()

    def _is_recent(self, ref: SecretRef, now: float) -> bool:
        entry = self._remembered.get(ref)
        return entry is not None and now - entry[0] <= self._options.max_staleness

    def _remember(self, refs: Sequence[SecretRef], asked_at: float, found: Found) -> None:
        if not self._options.max_staleness:
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
        async with _deadline(self._options.deadline, self):
            return await self._calls.get(refs, max_age=self._options.max_staleness)

    async def _resolve_in_thread(self, refs: tuple[SecretRef, ...]) -> Found:
        asked_at = self._clock()
        found = await self._run(lambda: self._reader.resolve(refs))
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
        while True:
            try:
                return await self._attempt(call, again=attempt > 1)
            except SecretsError as error:
                pause = self.health.pause(error, attempt) if self._pool is not None else None
                if pause is None:
                    error.store = self.store
                    raise
            attempt += 1
            await asyncio.sleep(pause)

    async def _attempt(self, call: Callable[[], T], *, again: bool) -> T:
        if self._pool is None:
            return call()
        self.health.begin(again=again)
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except SecretsError as error:
            self.health.failed(error)
            raise
        self.health.succeeded()
        return result

    def late(self) -> DeadlineExceeded:
        """For what took too long; counts as a failure."""
        error = DeadlineExceeded(f'store "{self.store}" did not answer within {self._options.deadline:g} s')
        self.health.failed(error)
        error.store = self.store
        return error


class _deadline:  # used like a function
    """``asyncio.timeout`` whose end is our own error."""

    def __init__(self, seconds: float, reading: StoreReading) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._reading = reading

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *exception: object) -> None:
        try:
            await self._timeout.__aexit__(*exception)  # type: ignore[arg-type]
        except TimeoutError as error:
            raise self._reading.late() from error
