"""Whole entries, a record with its sealed value: how writer, reader and rotation make and open them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from secrets_svc.backends.local.keys import WriterKeys
from secrets_svc.backends.local.records import COLUMNS, Record, changed_outside, project_key
from secrets_svc.backends.local.sealing import DoesNotVerify, digest_of, open_sealed, seal
from secrets_svc.core.errors import Spoilt
from secrets_svc.core.value import SecretValue

_PUT = (
    f"INSERT OR REPLACE INTO secrets ({COLUMNS}, project_key, sealed) "  # noqa: S608  # constants only
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Entry(Protocol):
    """What a sealed value is bound to, besides the generation of its keys."""

    @property
    def storage_name(self) -> str:
        """The secret's."""

    @property
    def token(self) -> str:
        """The version's."""

    @property
    def type(self) -> str:
        """The secret's."""


class SealedEntry(Entry, Protocol):
    """… and what tells whether it is the one."""

    @property
    def generation(self) -> str:
        """Of the keys."""

    @property
    def digest(self) -> bytes:
        """Of the sealed value."""


def put_entry(
    connection: sqlite3.Connection, draft: Record, value: SecretValue, *, generation: str, keys: WriterKeys
) -> Record:
    """Seal ``value``, sign the record, and write both in place of what is there.

    :param draft: says all but generation, digest and signature. :param keys: of ``generation``.
    """
    sealed = seal_entry(draft, value, generation=generation, keys=keys)
    record = replace(draft, generation=generation, digest=digest_of(sealed)).signed(keys.signing)
    put_sealed(connection, record, sealed)
    return record


def put_sealed(connection: sqlite3.Connection, record: Record, sealed: bytes) -> None:
    """Write a signed record with its sealed value in place of what is there."""
    connection.execute(_PUT, (*record.row, project_key(record.ref.scope), sealed))


def seal_entry(entry: Entry, value: SecretValue, *, generation: str, keys: WriterKeys) -> bytes:
    """``value``, bound to what it is the value of. :param keys: of ``generation``."""
    return seal(
        value,
        keys.sealing,
        name=entry.storage_name,
        token=entry.token,
        type=entry.type,
        generation=generation,
    )


def is_whole(entry: SealedEntry, sealed: Any) -> bool:
    """Whether that is the sealed value that was signed. :param sealed: the column as it was found."""
    return isinstance(sealed, bytes) and digest_of(sealed) == entry.digest


def open_entry(
    record: SealedEntry,
    sealed: Any,
    key: X25519PrivateKey,
    otherwise: Callable[[str], Spoilt] = changed_outside,
) -> SecretValue:
    """The value of a record that verifies.

    :param sealed: the column as it was found. :param key: of the record's generation.
    :param otherwise: what to raise, by storage name.
    :raises Unavailable: it isn't what the writer sealed.
    """
    if not is_whole(record, sealed):
        raise otherwise(record.storage_name)
    try:
        return open_sealed(
            sealed,
            key,
            name=record.storage_name,
            token=record.token,
            type=record.type,
            generation=record.generation,
        )
    except DoesNotVerify:
        raise otherwise(record.storage_name) from None
