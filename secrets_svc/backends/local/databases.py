"""The database file: connections to it, transactions on it, and what is checked of it at the start."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from secrets_svc.backends.local.faults import Translated, damaged
from secrets_svc.backends.local.keys import check_keys, generations, make_generation
from secrets_svc.backends.local.locks import alone_in
from secrets_svc.backends.local.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    is_whole,
    lay_out,
    upgrade,
    version_of,
)
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.private_files import check_private, private_folder

FILE = "secrets.db"
#: Seconds that a connection waits for another process's write.
BUSY_TIMEOUT = 5.0
#: Bytes up to which the whole file is looked through at each start; 16 MiB take about 20 ms.
MAX_CHECKED_AT_OPEN = 16 << 20

_PRAGMAS = (
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA synchronous = FULL",
    # What was deleted or sealed anew is overwritten, not just marked free.
    "PRAGMA secure_delete = ON",
)


class Database:
    """One connection and the lock that threads take turns with.

    :param folder: the store's. :param connection: in autocommit mode; it is closed with this.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.connection = connection
        self.lock = threading.Lock()
        self.faults = Translated(folder / FILE)

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of one query."""
        with self.faults, self.lock:
            return self.connection.execute(sql, parameters).fetchall()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one moment."""
        with self.faults, self.lock:
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that excludes other writers from its start; committed unless something raises."""
        with self.faults, self.lock:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    # The first error is the one to tell of.
                    with suppress(sqlite3.Error):
                        self.connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """May be repeated."""
        with self.faults, self.lock:
            self.connection.close()


def set_up(folder: Path) -> None:
    """Make the store in ``folder`` if there is none: the database and the first generation of keys.

    :raises InvalidArgument: others can get at it, or it isn't ours. :raises Unavailable: it can't be made.
    """
    private_folder(folder)
    with Translated(folder), alone_in(folder):
        with suppress(FileExistsError):
            os.close(os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        check_private(folder / FILE)
        database = Database(folder, _connect(folder / FILE, "rw", BUSY_TIMEOUT))
        try:
            _lay_out(database)
        finally:
            database.close()


def _lay_out(database: Database) -> None:
    with database.faults:
        [(objects,)] = database.rows("SELECT count(*) FROM sqlite_schema")
        if objects:
            _keep_a_log(database)
            return
        if (database.folder / FILE).stat().st_size == 0 and generations(database.folder):
            raise damaged(database.folder / FILE)  # keys without entries: the file was lost, not never there
        database.rows("PRAGMA journal_mode = WAL")
        with database.writing() as connection:
            lay_out(connection)
            set_current_generation(connection, make_generation(database.folder))


def _keep_a_log(database: Database) -> None:
    """Back in WAL mode, after a restore; a database that isn't ours stays as it is."""
    if database.rows("PRAGMA application_id") == [(APPLICATION_ID,)]:
        database.rows("PRAGMA journal_mode = WAL")


def open_database(folder: Path, *, readonly: bool, busy_timeout: float = BUSY_TIMEOUT) -> Database:
    """A connection to the store in ``folder``, checked. To write to, it is brought to this release's form.

    :raises Unavailable: there is none, it is damaged, or it can't be written where that is wanted.
    :raises InvalidArgument: it isn't ours, a newer release wrote it, or others can get at it.
    """
    file = folder / FILE
    if not file.exists():
        raise Unavailable(
            f"there is no local store in {folder}: a server that writes to it makes it at its start"
        )
    private_folder(folder)
    with Translated(file):
        check_private(file)
    check_keys(folder)
    database = Database(folder, _connect(file, "ro" if readonly else "rw", busy_timeout))
    try:
        check(database)
        if not readonly:
            _bring_up_to_date(database)
    except BaseException:
        database.close()
        raise
    return database


def _bring_up_to_date(database: Database) -> None:
    with database.faults:
        current = version_of(database.connection) == SCHEMA_VERSION
    if not current:
        with database.writing() as connection:
            upgrade(connection)


def _check_writable(file: Path) -> None:
    """Refuse what is read-only: SQLite would open it without a word, and refuse each write later.

    Asked before it opens anything, because it would make files beside this one with this one's mode, and they
    would stay read-only after the mode has been mended.
    """
    beside = (file.with_name(file.name + end) for end in ("-wal", "-shm"))
    for path in (file.parent, file, *beside):
        if path.exists() and not os.access(path, os.W_OK, effective_ids=True):
            kind = "folder" if path.is_dir() else "file"
            raise Unavailable(f"{kind} {path} can't be written: look at its owner, its mode and its disk")


def _connect(file: Path, mode: str, busy_timeout: float) -> sqlite3.Connection:
    with Translated(file):
        if mode == "rw":
            _check_writable(file)
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            if mode == "ro":
                connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection


def check(database: Database, *, thoroughly: bool = False) -> None:
    """See that the file is ours, of this form, and not damaged.

    :param thoroughly: look through it whole, however large it is, indexes included.
    """
    file = database.folder / FILE
    [(application,)] = database.rows("PRAGMA application_id")
    with database.faults:
        version = version_of(database.connection)
    if database.rows("SELECT count(*) FROM sqlite_schema") == [(0,)]:
        raise Unavailable(
            f"file {file} holds no store yet, or no longer: then bring it back with secret restore"
        )
    if application != APPLICATION_ID:
        raise InvalidArgument(f"file {file} is not a database of this service")
    if version > SCHEMA_VERSION:
        raise InvalidArgument(f"file {file} was written by a newer release of this service: upgrade this one")
    with database.faults:
        if not is_whole(database.connection):
            raise damaged(file)
        small = file.stat().st_size <= MAX_CHECKED_AT_OPEN
    pragma = "PRAGMA integrity_check(1)" if thoroughly else "PRAGMA quick_check(1)"
    if (thoroughly or small) and database.rows(pragma) != [("ok",)]:
        raise damaged(file)


def current_generation(connection: sqlite3.Connection) -> str:
    """The generation that new entries are sealed and signed with."""
    found = meta(connection, "current_generation")
    if found is None:
        raise Unavailable("the local store names no current keys: bring a backup back with secret restore")
    return found


def set_current_generation(connection: sqlite3.Connection, generation: str) -> None:
    """From the end of this transaction on."""
    set_meta(connection, "current_generation", generation)


def meta(connection: sqlite3.Connection, key: str) -> str | None:
    """One entry of the ``meta`` table."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: str | None) -> None:
    """Write one entry of the ``meta`` table; ``None`` removes it."""
    if value is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    else:
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
