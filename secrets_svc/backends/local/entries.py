"""Whole entries, a record with its sealed value: how writer, reader and rotation make and open them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from secrets_svc.backends.local.keys import WriterKeys
from secrets_svc.backends.local.records import COLUMNS, Record, changed_outside, project_key
from secrets_svc.backends.local.sealing import DoesNotVerify, digest_of, open_sealed, seal
from secrets_svc.core.value import SecretValue

_PUT = (
    f"INSERT OR REPLACE INTO secrets ({COLUMNS}, project_key, sealed) "  # noqa: S608  # constants only
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def put_entry(
    connection: sqlite3.Connection, draft: Record, value: SecretValue, *, generation: str, keys: WriterKeys
) -> Record:
    """Seal ``value``, sign the record, and write both in place of what is there.

    :param draft: says all but generation, digest and signature. :param keys: of ``generation``.
    """
    sealed = seal(
        value,
        keys.sealing,
        name=draft.storage_name,
        token=draft.token,
        type=draft.type,
        generation=generation,
    )
    record = replace(draft, generation=generation, digest=digest_of(sealed)).signed(keys.signing)
    connection.execute(_PUT, (*record.row, project_key(record.ref.scope), sealed))
    return record


def open_entry(record: Record, sealed: Any, key: X25519PrivateKey) -> SecretValue:
    """The value of a record that verifies.

    :param sealed: the column as it was found. :param key: of the record's generation.
    :raises Unavailable: it isn't what the writer sealed.
    """
    if not isinstance(sealed, bytes) or digest_of(sealed) != record.digest:
        raise changed_outside(record.storage_name)
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
        raise changed_outside(record.storage_name) from None
