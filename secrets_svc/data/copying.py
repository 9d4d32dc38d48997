"""Copying secrets from one store to another: what is there already stays, and each copy is read back.

They go by pages of a listing, of which one is held at a time.
"""

from __future__ import annotations

import asyncio
import enum
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from secrets_svc.core.errors import Changed, Conflict, NotFound, SecretsError, Unavailable, is_the_stores
from secrets_svc.core.ports import Page, SecretVersion, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef
from secrets_svc.data.store_reading import StoreReading
from secrets_svc.data.writing import ValidatedWriter

#: Seconds for which a copy that doesn't read back yet is looked for again, and between two looks.
VERIFY = 20.0
_PAUSE = 0.1
#: Tries while somebody writes.
_ATTEMPTS = 4
#: References of one page.
_PAGE = 1000


class Outcome(enum.StrEnum):
    """What came of one secret."""

    COPIED = "copied"
    REPLACED = "replaced"
    WOULD_BE_COPIED = "would_be_copied"  # by other than a dry run
    WOULD_BE_REPLACED = "would_be_replaced"
    SAME = "same"  # the target has that value already
    DIFFERENT = "different"  # it has another one, which stays
    GONE = "gone"  # it was deleted from the source meanwhile
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Copied:
    """One secret.

    :param version: that the target has now. :param error: where it failed.
    """

    ref: SecretRef
    outcome: Outcome
    version: str | None = None
    error: SecretsError | None = None


class Waiting:
    """References that wait for their turn, taken from pages one after the other as they run out.

    :param pages: may block; each is asked for in a thread. :param heard: hears of each page's size.
    :ivar listed: how many there were so far. :ivar taken: how many have had their turn.
    :ivar is_whole: whether there are no more pages.
    """

    def __init__(self, pages: Iterable[Page[SecretMetadata]], *, heard: Callable[[int], None]) -> None:
        self._pages = iter(pages)
        self._heard = heard
        self._refs: deque[SecretRef] = deque()
        self._lock = asyncio.Lock()
        self.listed = 0
        self.taken = 0
        self.is_whole = False

    async def next(self) -> SecretRef | None:
        """The next one; ``None`` where there is none. Raises what listing raises."""
        async with self._lock:
            while not self._refs and not self.is_whole:
                page = await asyncio.to_thread(next, self._pages, None)
                if page is None:
                    self.is_whole = True
                    break
                self.is_whole = page.cursor is None
                self._refs.extend(item.ref for item in page.items)
                self.listed += len(page.items)
                self._heard(len(page.items))
            if not self._refs:
                return None
            self.taken += 1
            return self._refs.popleft()


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies between two stores. The source is read, and never written.

    :param writer: of the target. :param actor: who it is, for the target's metadata.
    :param overwrite: replace what differs. :param dry_run: look only.
    """

    source: StoreReading
    target: StoreReading
    writer: ValidatedWriter
    actor: str
    overwrite: bool = False
    dry_run: bool = False

    async def copy(self, ref: SecretRef) -> Copied:
        """Copy ``ref``; what fails is told, and not raised."""
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    return await self._copy(ref)
                except (Conflict, NotFound):  # somebody wrote meanwhile
                    if attempt == _ATTEMPTS - 1:
                        raise
            raise AssertionError("unreachable")
        except SecretsError as error:
            return Copied(ref, Outcome.FAILED, error=error)

    async def copy_all(self, waiting: Waiting, *, at_once: int, each: Callable[[Copied], None]) -> None:
        """Copy all that waits; ``each`` hears of every one that was dealt with.

        Where a store fails for a reason that may pass, the rest is left, so that it isn't tried in vain; what
        one secret fails for is told, and the rest is copied.
        However it ends, what is under way is finished and heard of first: a write that has begun is not
        called back.

        :raises SecretsError: listing failed. Whatever ``each`` raises.
        """
        stopped = False
        failures: list[Exception] = []

        async def work() -> None:
            nonlocal stopped
            try:
                while not stopped:
                    ref = await waiting.next()
                    if ref is None or stopped:
                        return
                    copied = await self.copy(ref)
                    stopped = stopped or is_the_stores(copied.error)
                    each(copied)
            except Exception as error:
                stopped = True
                failures.append(error)

        workers = asyncio.gather(*(work() for _ in range(at_once)))
        try:
            await asyncio.shield(workers)
        except asyncio.CancelledError:
            stopped = True
            await workers
            raise
        if failures:
            raise failures[0]

    async def _copy(self, ref: SecretRef) -> Copied:
        wanted = await _read(self.source, ref)
        if wanted is None:
            return Copied(ref, Outcome.GONE)
        there = await _read(self.target, ref)
        if there is not None:
            if there.type is wanted.type and there.value == wanted.value:
                return Copied(ref, Outcome.SAME, there.token)
            if not self.overwrite:
                return Copied(ref, Outcome.DIFFERENT, there.token)
            if there.type is not wanted.type:
                raise Conflict(f"secret {ref} is there with another type, which can't be changed")
        if self.dry_run:
            self.writer.check(ref, wanted.value, wanted.type)
            return Copied(ref, Outcome.WOULD_BE_COPIED if there is None else Outcome.WOULD_BE_REPLACED)
        written = await asyncio.to_thread(self._write, wanted, there)
        await self._verify(wanted, written)
        return Copied(ref, Outcome.COPIED if there is None else Outcome.REPLACED, written.version)

    def _write(self, wanted: SecretVersion, there: SecretVersion | None) -> SecretMetadata:
        operation = uuid.uuid4().hex
        writer: SecretWriter = self.writer
        if there is None:
            return writer.create(
                wanted.ref, wanted.value, wanted.type, actor=self.actor, operation_id=operation
            )
        return writer.update(
            wanted.ref, wanted.value, actor=self.actor, operation_id=operation, expected=there.token
        )

    async def _verify(self, wanted: SecretVersion, written: SecretMetadata) -> None:
        """Read back what was written, with the target's own reader.

        :raises Conflict: it is another version. :raises Unavailable: it is another value, or not seen at all.
        """
        due = time.monotonic() + VERIFY
        while True:
            found = await _read(self.target, wanted.ref)
            if found is not None and found.token == written.version:
                if found.value == wanted.value:
                    return
                raise Unavailable(f"secret {wanted.ref} does not read back as it was written")
            if time.monotonic() > due and found is None:
                raise Unavailable(f"secret {wanted.ref} was written, and can't be read back yet")
            if time.monotonic() > due:
                raise Conflict(f"secret {wanted.ref} was written by somebody else meanwhile")
            await asyncio.sleep(_PAUSE)


async def _read(store: StoreReading, ref: SecretRef) -> SecretVersion | None:
    for attempt in range(_ATTEMPTS):
        resolved = (await store.resolve([ref])).get(ref)
        if resolved is None:
            return None
        try:
            return await store.read(resolved)
        except (Changed, NotFound):
            if attempt == _ATTEMPTS - 1:
                raise
    return None


def pages_of(writer: ValidatedWriter, within: Scope, *, exact: bool) -> Iterator[Page[SecretMetadata]]:
    """All that a store has there, a page at a time."""
    cursor = None
    while True:
        page = writer.list(within, exact=exact, limit=_PAGE, cursor=cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
