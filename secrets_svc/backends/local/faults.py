"""What SQLite and the disk answer, translated in one place. Their texts stay in ``__cause__``."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from types import TracebackType

from secrets_svc.core.errors import Internal, SecretsError, Unavailable

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_UNUSABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


class Translated:
    """``with`` this, errors of SQLite and the operating system come out as :class:`SecretsError`.

    :param file: what was being used, for the message. It may be entered again and by several threads.
    :param place: what a full disk is said to be the disk of.
    """

    __slots__ = ("_file", "_place")

    def __init__(self, file: Path, place: str = "state folder") -> None:
        self._file = file
        self._place = place

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, UnicodeDecodeError):  # a damaged name in what SQLite would have said
            raise damaged(self._file) from error
        if isinstance(error, sqlite3.Error):
            raise _of_sqlite(error, self._file, self._place) from error
        if isinstance(error, OSError):
            raise _of_system(error, self._file, self._place) from error


def damaged(file: Path) -> Unavailable:
    """For a database whose content can't be right."""
    return Unavailable(f"file {file} is damaged or not a database: bring a backup back with secret restore")


def _disk_full(file: Path, place: str) -> Unavailable:
    return Unavailable(f"the disk of the {place} is full: {file.parent}")


def _of_sqlite(error: sqlite3.Error, file: Path, place: str) -> SecretsError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return _of_module(error, file)
    primary = code & 0xFF  # the rest of an extended result code only details it (sqlite.org/rescode.html)
    if primary in _BUSY:
        return Unavailable("the local store is locked by another process", retry_after=1.0)
    if primary == sqlite3.SQLITE_FULL:
        return _disk_full(file, place)
    if primary == sqlite3.SQLITE_READONLY:
        return Unavailable(f"file {file} can't be written: it, its folder or its disk is read-only")
    if primary in _DAMAGED:
        return damaged(file)
    if primary == sqlite3.SQLITE_IOERR:
        return Unavailable(f"reading or writing file {file} failed: look at its disk")
    if primary in _UNUSABLE:
        return Unavailable(f"file {file} can't be opened: look at its owner and mode")
    return Internal("the local store failed in a way it never should")


def _of_module(error: sqlite3.Error, file: Path) -> SecretsError:
    """Errors that Python's module raises itself: use after close, and text that isn't UTF-8."""
    if isinstance(error, sqlite3.ProgrammingError):
        return Unavailable("the local store is closed")
    return damaged(file)


def _of_system(error: OSError, file: Path, place: str) -> SecretsError:
    if error.errno in _NO_SPACE:
        return _disk_full(file, place)
    return Unavailable(f"{file} can't be used: look at its owner, its mode and its disk")
