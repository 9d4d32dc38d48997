"""The two tables with sealed values, for whoever goes through all there is, a batch at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from secrets_svc.backends.local import earlier, records
from secrets_svc.backends.local.databases import Database
from secrets_svc.backends.local.earlier import Earlier, put_earlier
from secrets_svc.backends.local.entries import put_entry
from secrets_svc.backends.local.keys import WriterKeys
from secrets_svc.backends.local.records import Record, Verifier
from secrets_svc.core.value import SecretValue

#: Bytes of values that are in memory at once.
_MAX_BATCH = 8 << 20

Key = tuple[Any, ...]
Row = tuple[Any, ...]
Kind = TypeVar("Kind", Record, Earlier)


@dataclass(frozen=True)
class Table(Generic[Kind]):
    """One of them.

    :param key: names of the columns of its primary key, which are the first of ``columns``.
    :param checked: its row as what it is, without the value; raises unless it verifies.
    :param put: seals a value anew and writes it in place of what is there.
    """

    name: str
    key: tuple[str, ...]
    columns: str
    checked: Callable[[Verifier, Row], Kind]
    put: Callable[[sqlite3.Connection, Kind, SecretValue, str, WriterKeys], object]

    @property
    def _older(self) -> str:
        key, marks = ", ".join(self.key), ", ".join("?" * len(self.key))
        return f"FROM {self.name} WHERE generation <> ? AND ({key}) > ({marks})"

    def count_older(self, database: Database, generation: str) -> int:
        """How many rows are of another generation."""
        [(count,)] = database.rows(f"SELECT count(*) {self._older}", (generation, *self._nothing))
        return int(count)

    def older(self, database: Database, generation: str, size: int) -> Iterator[list[Row]]:
        """Rows of other generations, with their values, at most ``size`` at a time."""
        key, marks = ", ".join(self.key), ", ".join("?" * len(self.key))
        sizes_of = f"SELECT {key}, length(sealed) {self._older} ORDER BY {key} LIMIT ?"
        rows_of = f"SELECT {self.columns}, sealed {self._older} AND ({key}) <= ({marks})"
        last: Key = self._nothing
        while sizes := database.rows(sizes_of, (generation, *last, size)):
            end: Key = _end_of_batch(sizes)
            yield database.rows(rows_of, (generation, *last, *end))
            last = end

    def is_unchanged(self, connection: sqlite3.Connection, found: Kind) -> bool:
        """Whether its row is still as it was read."""
        where = " AND ".join(f"{name} = ?" for name in self.key)
        key = (found.storage_name, found.token)[: len(self.key)]
        row = connection.execute(
            f"SELECT signature FROM {self.name} WHERE {where}",  # noqa: S608  # constants only
            key,
        ).fetchone()
        return bool(row == (found.signature,))

    def generation_of(self, row: Row) -> str:
        """What the row says."""
        return str(row[self.columns.split(", ").index("generation")])

    def key_of(self, row: Row) -> Key:
        """Its key, behind the table's name."""
        return (self.name, *row[: len(self.key)])

    @property
    def _nothing(self) -> Key:
        return ("",) * len(self.key)


def _end_of_batch(sizes: list[Row]) -> Key:
    """The key up to which it is not too much to have in memory; at least the first."""
    total = 0
    end: Key = sizes[0][:-1]
    for *key, size in sizes:
        total += size
        if total > _MAX_BATCH:
            break
        end = tuple(key)
    return end


SECRETS: Table[Record] = Table(
    "secrets",
    ("storage_name",),
    records.COLUMNS,
    Verifier.checked,
    lambda connection, found, value, generation, keys: put_entry(
        connection, found, value, generation=generation, keys=keys
    ),
)
VERSIONS: Table[Earlier] = Table(
    "versions",
    ("storage_name", "token"),
    earlier.COLUMNS,
    earlier.checked,
    lambda connection, found, value, generation, keys: put_earlier(
        connection, found, value, generation=generation, keys=keys
    ),
)


def generations_needed(connection: sqlite3.Connection) -> set[str]:
    """Whose keys some entry of a database of this release's form rests under."""
    rows = connection.execute("SELECT generation FROM secrets UNION SELECT generation FROM versions")
    return {str(row[0]) for row in rows}
