"""Earlier versions of secrets: rows of their own, signed as what they are.

The signature over an earlier version is of another form than that over a secret, so a row that is copied
from one table to the other doesn't verify. Its value stays sealed as it was: to the reader, for that token.
It also tells when the secret was created (``born``): what is from before a delete belongs to nothing.

A version that is current again after a rollback keeps its row here, which tells who wrote it when.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from secrets_svc.backends.local.entries import seal_entry
from secrets_svc.backends.local.keys import WriterKeys
from secrets_svc.backends.local.records import Record, Verifier, changed_outside, time_of
from secrets_svc.backends.local.sealing import EARLIER, digest_of, sign
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.errors import Spoilt
from secrets_svc.core.value import SecretValue

#: Versions of a secret that are kept, the current one included.
KEPT = 10

#: The columns of :class:`Earlier`, in order.
COLUMNS = (
    "storage_name, token, signature, type, size, born, written_at, left_at, written_by, generation, digest"
)
_TYPES = (str, str, bytes, str, int, int, int, int, str, str, bytes)

_OF_SECRET = f"SELECT {COLUMNS} FROM versions WHERE storage_name = ?"  # noqa: S608  # constants only
_ONE = f"SELECT {COLUMNS}, sealed FROM versions WHERE storage_name = ? AND token = ?"  # noqa: S608
_PUT = (
    f"INSERT OR REPLACE INTO versions ({COLUMNS}, sealed) "  # noqa: S608  # constants only
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEEP = (
    f"INSERT OR REPLACE INTO versions ({COLUMNS}, sealed) "  # noqa: S608  # constants only
    "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, sealed FROM secrets WHERE storage_name = ?"
)
_DROP = (
    "DELETE FROM versions WHERE storage_name = ?1 AND token <> ?2 AND token NOT IN "
    "(SELECT token FROM versions WHERE storage_name = ?1 AND token <> ?2 ORDER BY left_at DESC LIMIT ?3)"
)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A row but for its value; times are microseconds since 1970, UTC.

    :param born: when the secret was created. :param left_at: when it ceased to be current, the last time.
    """

    storage_name: str
    token: str
    signature: bytes
    type: str
    size: int
    born: int
    written_at: int
    left_at: int
    written_by: str
    generation: str
    digest: bytes

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> Earlier:
        """From :data:`COLUMNS`, whatever somebody put there."""
        if tuple(map(type, row)) != _TYPES:
            raise spoilt(str(row[0]))
        return cls(*row)

    @property
    def signed_fields(self) -> tuple[str | bytes | int, ...]:
        """Everything but the signature."""
        return (
            *(self.storage_name, self.token, self.type, self.size, self.born, self.written_at),
            *(self.left_at, self.written_by, self.generation, self.digest),
        )

    def signed(self, key: Ed25519PrivateKey) -> Earlier:
        """The same with its signature by ``key``."""
        return replace(self, signature=sign(key, self.signed_fields, form=EARLIER))

    @property
    def row(self) -> tuple[str | bytes | int, ...]:
        """For :data:`COLUMNS`."""
        name, token, *rest = self.signed_fields
        return (name, token, self.signature, *rest)

    def info(self, *, current: bool) -> VersionInfo:
        """For the ability."""
        return VersionInfo(
            version=self.token,
            created_at=time_of(self.written_at),
            created_by=self.written_by,
            current=current,
            size=self.size,
        )


def spoilt(storage_name: str) -> Spoilt:
    """For a row that doesn't verify."""
    return changed_outside(storage_name, "an earlier version of ")


def checked(verifier: Verifier, row: tuple[Any, ...]) -> Earlier:
    """The version in ``row`` (:data:`COLUMNS`). Raises as :meth:`.records.Verifier.checked`."""
    earlier = Earlier.of_row(row)
    if not verifier.holds(earlier.signature, earlier.signed_fields, earlier.generation, form=EARLIER):
        raise spoilt(earlier.storage_name)
    return earlier


def as_earlier(current: Record, *, left_at: int) -> Earlier:
    """What a secret's record becomes when it is replaced; still to be signed."""
    return Earlier(
        storage_name=current.storage_name,
        token=current.token,
        signature=b"",
        type=current.type,
        size=current.size,
        born=current.created_at,
        written_at=current.updated_at,
        left_at=left_at,
        written_by=current.updated_by,
        generation=current.generation,
        digest=current.digest,
    )


def keep(
    connection: sqlite3.Connection,
    current: Record,
    *,
    verifier: Verifier,
    by: str,
    left_at: int,
    key: Ed25519PrivateKey,
) -> None:
    """Keep what is about to be replaced, and drop what is too much then.

    :param by: the token of what comes in its place. :param key: that signs, of the record's generation.
    """
    made = as_earlier(current, left_at=left_at)
    known = _written(connection, verifier, current)
    if known is not None:
        made = replace(made, written_at=known.written_at, written_by=known.written_by)
    connection.execute(_KEEP, (*made.signed(key).row, current.storage_name))
    connection.execute(_DROP, (current.storage_name, by, KEPT - 1))


def _written(connection: sqlite3.Connection, verifier: Verifier, current: Record) -> Earlier | None:
    """What tells who wrote the current version, where a rollback has made it current again.

    One that doesn't verify tells nothing: it will be replaced.
    """
    try:
        found = find(connection, verifier, current, current.token)
    except Spoilt:
        return None
    return None if found is None else found[0]


def find(
    connection: sqlite3.Connection, verifier: Verifier, current: Record, token: str
) -> tuple[Earlier, Any] | None:
    """An earlier version of the secret, and its sealed value as it was found; ``None`` if it isn't kept.

    :param current: the secret's record, which verifies. :raises Unavailable: it doesn't verify.
    """
    if not token.isascii():  # SQLite takes no half of a surrogate pair
        return None
    row = connection.execute(_ONE, (current.storage_name, token)).fetchone()
    if row is None:
        return None
    *columns, sealed = row
    found = checked(verifier, tuple(columns))
    return (found, sealed) if found.born == current.created_at else None


def put_earlier(
    connection: sqlite3.Connection, draft: Earlier, value: SecretValue, *, generation: str, keys: WriterKeys
) -> None:
    """Seal ``value`` and write it in place of the version that is there. See :func:`.entries.put_entry`."""
    sealed = seal_entry(draft, value, generation=generation, keys=keys)
    made = replace(draft, generation=generation, digest=digest_of(sealed)).signed(keys.signing)
    connection.execute(_PUT, (*made.row, sealed))


def forget_all(connection: sqlite3.Connection, storage_name: str) -> int:
    """Drop all of a secret's earlier versions; returns how many."""
    return connection.execute("DELETE FROM versions WHERE storage_name = ?", (storage_name,)).rowcount


def history(connection: sqlite3.Connection, verifier: Verifier, current: Record) -> tuple[VersionInfo, ...]:
    """All that is kept, newest first; the current one is among them.

    :param current: the secret's record, which verifies. :raises Unavailable: a version doesn't verify.
    """
    rows = connection.execute(_OF_SECRET, (current.storage_name,)).fetchall()
    found = [each for each in (checked(verifier, row) for row in rows) if each.born == current.created_at]
    if current.token not in {each.token for each in found}:
        found.append(as_earlier(current, left_at=0))
    found.sort(key=lambda each: each.written_at, reverse=True)
    return tuple(each.info(current=each.token == current.token) for each in found)
