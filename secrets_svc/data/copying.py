"""Copying secrets from one store to another: what is there already stays, and each copy is read back."""

from __future__ import annotations

import asyncio
import enum
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from secrets_svc.core.errors import Changed, Conflict, NotFound, SecretsError, Unavailable
from secrets_svc.core.ports import SecretVersion, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef
from secrets_svc.data.store_reading import StoreReading
from secrets_svc.data.writing import ValidatedWriter

#: Seconds for which a copy that doesn't read back yet is looked for again, and between two looks.
VERIFY = 20.0
_PAUSE = 0.1
#: Tries while somebody writes.
_ATTEMPTS = 4


class Outcome(enum.StrEnum):
    """What came of one secret."""

    COPIED = "copied"
    REPLACED = "replaced"
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

    async def copy_all(
        self, refs: Sequence[SecretRef], *, at_once: int, each: Callable[[Copied], None]
    ) -> int:
        """Copy ``refs``; ``each`` hears of every one that was dealt with.

        Where a store fails for a reason that may pass, the rest is left, so that it isn't tried in vain.

        :returns: how many were left.
        """
        waiting: Iterator[SecretRef] = iter(refs)
        left = len(refs)
        stopped = False

        async def work() -> None:
            nonlocal left, stopped
            for ref in waiting:
                if stopped:
                    return
                copied = await self.copy(ref)
                left -= 1
                stopped = stopped or (copied.error is not None and copied.error.retryable)
                each(copied)
                if stopped:
                    return

        await asyncio.gather(*(work() for _ in range(at_once)))
        return left

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
        outcome = Outcome.COPIED if there is None else Outcome.REPLACED
        if self.dry_run:
            self.writer.check(ref, wanted.value, wanted.type)
            return Copied(ref, outcome)
        written = await asyncio.to_thread(self._write, wanted, there)
        await self._verify(wanted, written)
        return Copied(ref, outcome, written.version)

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

        :raises Conflict: it is another version. :raises Unavailable: it is another value.
        """
        due = time.monotonic() + VERIFY
        while True:
            found = await _read(self.target, wanted.ref)
            if found is not None and found.token == written.version:
                if found.value == wanted.value:
                    return
                raise Unavailable(f"secret {wanted.ref} does not read back as it was written")
            if time.monotonic() > due:
                raise Conflict(
                    f"secret {wanted.ref} was written by somebody else meanwhile, or can't be seen yet"
                )
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


def refs_in(writer: ValidatedWriter, within: Scope, *, exact: bool) -> list[SecretRef]:
    """All that a store has there."""
    refs: list[SecretRef] = []
    cursor = None
    while True:
        page = writer.list(within, exact=exact, limit=1000, cursor=cursor)
        refs += [item.ref for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return refs
