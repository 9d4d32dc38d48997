"""The reader's side: it opens, on a connection that can't write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from secrets_svc.backends.local.databases import Database, current_generation
from secrets_svc.backends.local.earlier import Earlier, find, spoilt
from secrets_svc.backends.local.entries import open_entry
from secrets_svc.backends.local.keys import KeyRing, load_reader_keys
from secrets_svc.backends.local.records import (
    COLUMNS,
    MAX_REMEMBERED,
    Record,
    Verifier,
    again_after_rotation,
    changed_outside,
)
from secrets_svc.backends.local.schema import keeps_versions
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.secret import SecretRef, SecretType

#: Names in one statement: SQLite takes 32,766 parameters, but keeps each statement's plan.
MAX_NAMES = 500

_SELECT = f"SELECT {COLUMNS}, sealed FROM secrets WHERE storage_name = ?"  # noqa: S608  # constants only


class LocalReader:
    """See :class:`secrets_svc.core.ports.SecretReader`, and ``ReadsVersions`` beside it.

    :param database: opened read-only; closed with this.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = KeyRing(database.folder, load_reader_keys)
        self._verifier = Verifier(lambda generation: self._keys.of(generation).verifying)
        self._known: dict[str, tuple[bytes, Resolved]] = {}
        try:
            with database.faults:
                again_after_rotation(lambda: self._keys.of(current_generation(database.connection)))
        except BaseException:
            database.close()
            raise

    def state(self) -> int:
        """See :class:`secrets_svc.core.ports.TellsState`: whether anybody has committed, which costs 3 µs.

        (sqlite.org/pragma.html#pragma_data_version)
        """
        [(version,)] = self._database.rows("PRAGMA data_version")
        return int(version)

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """See the port."""
        asked = tuple(refs)
        with self._database.faults, self._database.lock:
            return again_after_rotation(partial(self._look_up, asked))

    def _look_up(self, asked: tuple[SecretRef, ...]) -> dict[SecretRef, Resolved]:
        refs = _by_storage_name(asked)
        names = tuple(refs)
        found: dict[SecretRef, Resolved] = {}
        for start in range(0, len(names), MAX_NAMES):
            for name, resolved in self._present(names[start : start + MAX_NAMES]):
                found[refs[name]] = resolved
        return found

    def _present(self, names: Sequence[str]) -> Iterable[tuple[str, Resolved]]:
        """What a signature stands for is known once it has been checked: only new ones need the whole row."""
        fetched = self._database.connection.execute(_signatures_of(len(names)), names).fetchall()
        new = []
        for name, signature in fetched:
            known = self._known.get(name)
            if known is not None and known[0] == signature:
                yield name, known[1]
            else:
                new.append(name)
        if new:
            yield from self._checked(new)

    def _checked(self, names: Sequence[str]) -> Iterable[tuple[str, Resolved]]:
        for row in self._database.connection.execute(_rows_of(len(names)), names).fetchall():
            record = self._verifier.checked(row)
            resolved = Resolved(record.ref, record.token, SecretType(record.type), record.size)
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[record.storage_name] = (record.signature, resolved)
            yield record.storage_name, resolved

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """See the port."""
        return again_after_rotation(partial(self._read, ref, token, storage_name(ref)))

    def _read(self, ref: SecretRef, token: str, name: str) -> SecretVersion:
        record, sealed = self._current(ref, self._database.rows(_SELECT, (name,)))
        if record.token != token:
            raise Changed(f"secret {ref} has changed since it was looked up: resolve it again")
        return self._opened(ref, record, sealed)

    def _current(self, ref: SecretRef, rows: list[tuple[Any, ...]]) -> tuple[Record, Any]:
        if not rows:
            raise NotFound(f"there is no secret {ref}")
        *columns, sealed = rows[0]
        return self._verifier.checked(tuple(columns)), sealed

    def _opened(self, ref: SecretRef, record: Record | Earlier, sealed: Any) -> SecretVersion:
        otherwise = changed_outside if isinstance(record, Record) else spoilt
        value = open_entry(record, sealed, self._keys.of(record.generation).opening, otherwise)
        return SecretVersion(ref, record.token, SecretType(record.type), value)

    def resolve_version(self, ref: SecretRef, version: str) -> Resolved:
        """See :class:`~secrets_svc.core.abilities.ReadsVersions`."""
        record, _ = again_after_rotation(partial(self._pinned, ref, version))
        return Resolved(ref, record.token, SecretType(record.type), record.size)

    def read_version(self, ref: SecretRef, version: str) -> SecretVersion:
        """See :class:`~secrets_svc.core.abilities.ReadsVersions`."""
        return again_after_rotation(lambda: self._opened(ref, *self._pinned(ref, version)))

    def _pinned(self, ref: SecretRef, version: str) -> tuple[Record | Earlier, Any]:
        """That version's record, and its sealed value."""
        with self._database.reading() as connection:
            rows = connection.execute(_SELECT, (storage_name(ref),)).fetchall()
            record, sealed = self._current(ref, rows)
            if record.token == version:
                return record, sealed
            found = find(connection, self._verifier, record, version) if keeps_versions(connection) else None
        if found is None:
            raise NotFound(f"secret {ref} has no such version, or its value is no longer kept")
        return found

    def close(self) -> None:
        """See the port."""
        self._database.close()


def _by_storage_name(refs: Iterable[SecretRef]) -> dict[str, SecretRef]:
    """A reference whose storage name would be too long can't be there: it is left out."""
    named: dict[str, SecretRef] = {}
    for ref in refs:
        try:
            named[storage_name(ref)] = ref
        except InvalidArgument:
            continue
    return named


@lru_cache(maxsize=MAX_NAMES)
def _signatures_of(count: int) -> str:
    return f"SELECT storage_name, signature FROM secrets WHERE storage_name IN ({_marks(count)})"  # noqa: S608


@lru_cache(maxsize=MAX_NAMES)
def _rows_of(count: int) -> str:
    return f"SELECT {COLUMNS} FROM secrets WHERE storage_name IN ({_marks(count)})"  # noqa: S608


def _marks(count: int) -> str:
    return ",".join("?" * count)
