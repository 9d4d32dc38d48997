"""New keys for everything that is stored, while a server goes on.

A new generation becomes current and, in the same transaction, the rotation is written down as under way.
Each older entry, earlier versions too, is then sealed and signed anew, its token and metadata as they were.
At the end the older keys go. Killed at any point, the next rotation takes up where this one stopped: whatever
generation an entry is of, its keys are still there.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
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
from secrets_svc.backends.local.entries import open_entry
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
from secrets_svc.backends.local.records import Verifier
from secrets_svc.backends.local.tables import SECRETS, VERSIONS, Kind, Table, generations_needed
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.maintenance import Progress, RotationReport
from secrets_svc.core.value import SecretValue

#: Seconds: a rotation waits longer for others than they for it.
BUSY_TIMEOUT = 30.0
_UNDER_WAY = "rotation_under_way"


@dataclass(slots=True)
class _Tally:
    """:ivar damaged: storage names of entries that don't verify, by their keys."""

    total: int = 0
    done: int = 0
    resealed: int = 0
    damaged: dict[tuple[Any, ...], str] = field(default_factory=dict)


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
    damaged = tuple(dict.fromkeys(tally.damaged.values()))
    return RotationReport(generation, resumed, tally.resealed, removed, damaged)


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


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
        kept = frozenset({current_generation(connection), *generations_needed(connection)})
        set_meta(connection, _UNDER_WAY, None)
        blank_fingerprints(connection, kept)
        return remove_all_but(database.folder, kept)


class _Resealing:
    """Passes over the entries that are older than ``generation``, until one finds nothing more to do.

    One is not always enough: beside a writer, a value that is sealed with older keys still may go from one
    table to the other, behind this.
    """

    def __init__(self, database: Database, generation: str) -> None:
        self._database = database
        self._generation = generation
        self._new = KeyRing(database.folder, load_writer_keys).of(generation)
        self._old: KeyRing[ReaderKeys] = KeyRing(database.folder, load_reader_keys)
        self._verifier = Verifier(lambda older: self._old.of(older).verifying)
        self._tally = _Tally()

    def run(self, progress: Progress, batch: int) -> _Tally:
        self._tally.total = sum(
            table.count_older(self._database, self._generation) for table in (SECRETS, VERSIONS)
        )
        progress(0, self._tally.total)
        while True:
            before = self._tally.resealed
            self._pass(SECRETS, progress, batch)
            self._pass(VERSIONS, progress, batch)
            if self._tally.resealed == before:
                return self._tally

    def _pass(self, table: Table[Kind], progress: Progress, batch: int) -> None:
        tally = self._tally
        for rows in table.older(self._database, self._generation, batch):
            new = [row for row in rows if table.key_of(row) not in tally.damaged]
            opened = [entry for row in new if (entry := self._opened(table, row)) is not None]
            with self._database.writing() as connection:
                tally.resealed += sum(
                    self._reseal(table, connection, found, value) for found, value in opened
                )
            if new:
                tally.done += len(new)
                progress(tally.done, max(tally.done, tally.total))

    def _opened(self, table: Table[Kind], row: tuple[Any, ...]) -> tuple[Kind, SecretValue] | None:
        *columns, sealed = row
        try:
            keys = self._old.of(table.generation_of(row))
            found = table.checked(self._verifier, tuple(columns))
            return found, open_entry(found, sealed, keys.opening)
        except (KeysGone, Unavailable):
            self._tally.damaged[table.key_of(row)] = str(row[0])
            return None

    def _reseal(
        self, table: Table[Kind], connection: sqlite3.Connection, found: Kind, value: SecretValue
    ) -> bool:
        """Whether the entry was still as it was read; else a writer has replaced it, under newer keys."""
        if not table.is_unchanged(connection, found):
            return False
        table.put(connection, found, value, self._generation, self._new)
        return True
