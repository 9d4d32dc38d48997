"""New keys for everything that is stored, while a server goes on.

A new generation becomes current and, in the same transaction, the rotation is written down as under way.
Each older entry is then sealed and signed anew, its token and metadata as they were. At the end the older
keys go. Killed at any point, the next rotation takes up where this one stopped: whatever generation an entry
is of, its keys are still there.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secrets_svc.backends.local.databases import (
    Database,
    current_generation,
    meta,
    open_database,
    set_current_generation,
    set_meta,
)
from secrets_svc.backends.local.entries import open_entry, put_entry
from secrets_svc.backends.local.keys import (
    FOLDER,
    KeyRing,
    KeysGone,
    ReaderKeys,
    load_reader_keys,
    load_writer_keys,
    make_generation,
    remove_all_but,
)
from secrets_svc.backends.local.locks import alone_in
from secrets_svc.backends.local.operations import blank_fingerprints
from secrets_svc.backends.local.records import COLUMNS, Record, Verifier
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.maintenance import Progress, RotationReport
from secrets_svc.core.value import SecretValue

#: Seconds: a rotation waits longer for others than they for it.
BUSY_TIMEOUT = 30.0
_UNDER_WAY = "rotation_under_way"

_OLDER = "FROM secrets WHERE generation <> ? AND storage_name > ?"
_COUNT_OLDER = f"SELECT count(*) {_OLDER}"
_SIZES_OLDER = f"SELECT storage_name, length(sealed) {_OLDER} ORDER BY storage_name LIMIT ?"
_SELECT_OLDER = f"SELECT {COLUMNS}, sealed {_OLDER} AND storage_name <= ?"
_GENERATION = COLUMNS.split(", ").index("generation")
#: Bytes of values that are in memory at once.
_MAX_BATCH = 8 << 20


@dataclass(slots=True)
class _Tally:
    resealed: int = 0
    damaged: tuple[str, ...] = ()


def rotate(state: Path, *, progress: Progress | None = None, batch: int = 200) -> RotationReport:
    """Seal everything with new keys; safe to kill, and beside running servers.

    :param state: the folder of the store. :param progress: told the entries done and to do, after each batch.
    :param batch: entries in one transaction.
    :raises Unavailable: another rotation is under way, or the store fails; what was done so far stays done.
    """
    if batch < 1:
        raise InvalidArgument("batch is not valid: 1 or more")
    with (
        contextlib.closing(open_database(state, readonly=False, busy_timeout=BUSY_TIMEOUT)) as database,
        alone_in(state / FOLDER, "a rotation of the local store's keys is under way already"),
    ):
        generation, resumed = _begin(database)
        tally = _Resealing(database, generation).run(progress or _silent, batch)
        removed = _finish(database)
        # What lay in the log was sealed with the old keys too.
        database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return RotationReport(generation, resumed, tally.resealed, removed, tally.damaged)


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


def _end_of_batch(sizes: list[tuple[Any, ...]]) -> str:
    """The storage name up to which it is not too much to have in memory; at least the first."""
    total = 0
    end = str(sizes[0][0])
    for name, size in sizes:
        total += size
        if total > _MAX_BATCH:
            break
        end = str(name)
    return end


def _begin(database: Database) -> tuple[str, bool]:
    """The generation to seal with, and whether it is that of an earlier rotation."""
    with database.writing() as connection:
        if meta(connection, _UNDER_WAY) is not None:
            return current_generation(connection), True
        generation = make_generation(database.folder)
        set_current_generation(connection, generation)
        set_meta(connection, _UNDER_WAY, generation)
        return generation, False


def _finish(database: Database) -> tuple[str, ...]:
    """Remove the keys that nothing needs; the transaction keeps out whoever makes keys or entries."""
    with database.writing() as connection:
        used = {str(row[0]) for row in connection.execute("SELECT DISTINCT generation FROM secrets")}
        kept = frozenset({current_generation(connection), *used})
        set_meta(connection, _UNDER_WAY, None)
        blank_fingerprints(connection, kept)
        return remove_all_but(database.folder, kept)


class _Resealing:
    """One pass over the entries that are older than ``generation``."""

    def __init__(self, database: Database, generation: str) -> None:
        self._database = database
        self._generation = generation
        self._new = KeyRing(database.folder, load_writer_keys).of(generation)
        self._old: KeyRing[ReaderKeys] = KeyRing(database.folder, load_reader_keys)
        self._verifier = Verifier(lambda older: self._old.of(older).verifying)
        self._tally = _Tally()

    def run(self, progress: Progress, batch: int) -> _Tally:
        [(total,)] = self._database.rows(_COUNT_OLDER, (self._generation, ""))
        progress(0, total)
        done = 0
        for rows in self._batches(batch):
            opened = [entry for row in rows if (entry := self._opened(row)) is not None]
            with self._database.writing() as connection:
                resealed = sum(self._reseal(connection, record, value) for record, value in opened)
            self._tally.resealed += resealed
            done += len(rows)
            progress(done, max(done, total))
        return self._tally

    def _batches(self, size: int) -> Iterator[list[tuple[Any, ...]]]:
        last = ""
        while sizes := self._database.rows(_SIZES_OLDER, (self._generation, last, size)):
            end = _end_of_batch(sizes)
            yield self._database.rows(_SELECT_OLDER, (self._generation, last, end))
            last = end

    def _opened(self, row: tuple[Any, ...]) -> tuple[Record, SecretValue] | None:
        *columns, sealed = row
        try:
            keys = self._old.of(str(columns[_GENERATION]))
        except KeysGone:
            self._damaged(row)
            return None
        try:
            record = self._verifier.checked(tuple(columns))
            return record, open_entry(record, sealed, keys.opening)
        except Unavailable:
            self._damaged(row)
            return None

    def _damaged(self, row: tuple[Any, ...]) -> None:
        self._tally.damaged += (str(row[0]),)

    def _reseal(self, connection: sqlite3.Connection, record: Record, value: SecretValue) -> bool:
        """Whether the entry was still as it was read; else a writer has replaced it, under newer keys."""
        found = connection.execute(
            "SELECT signature FROM secrets WHERE storage_name = ?", (record.storage_name,)
        ).fetchone()
        if found != (record.signature,):
            return False
        put_entry(connection, record, value, generation=self._generation, keys=self._new)
        return True
