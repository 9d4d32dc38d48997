"""Ids of versions. The writer of a version chooses its id (ClientRequestToken), so an id can tell.

    <operation>-<verb><intent>-<born>    26, 1 + 11 and 10 characters of base 32

``operation`` is the digest of the operation id. ``intent`` is a digest of what else the caller asked for,
except for the value: AWS itself compares values that are put under one id. ``born`` is the beginning of the
operation that created the secret: what came before a delete has another one. All is made of what the caller
gave, so whoever repeats a call comes to the same id.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass

from secrets_svc.core.errors import InvalidArgument

CREATE, UPDATE, DELETE, ROLLBACK, PURGE = "cudrp"
#: Of what nobody knows who made it.
UNKNOWN_BIRTH = "a" * 10
#: What :func:`digest` makes: 130 bits for an operation, 55 for an intent.
OPERATION, INTENT = 26, 11
MAX_OPERATION_ID = 128

_FORM = re.compile(r"([a-z2-7]{26})-([cud])([a-z2-7]{11})-([a-z2-7]{10})")


def digest(text: str, length: int) -> str:
    """So many characters of base 32."""
    made = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(made).decode()[:length].lower()


@dataclass(frozen=True, slots=True)
class VersionId:
    """What the id of a version of ours tells."""

    operation: str
    verb: str
    intent: str
    born: str

    @classmethod
    def parse(cls, text: str) -> VersionId | None:
        """``None`` for versions that somebody else made."""
        match = _FORM.fullmatch(text)
        return cls(*match.groups()) if match else None

    def __str__(self) -> str:
        return f"{self.operation}-{self.verb}{self.intent}-{self.born}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One intent of one caller, without the value."""

    id: str
    verb: str
    intent: str

    @classmethod
    def of(
        cls, operation_id: str, verb: str, *, type: str | None = None, expected: str | None = None
    ) -> Operation:
        """:raises InvalidArgument: the id is too long, or empty."""
        if not 1 <= len(operation_id) <= MAX_OPERATION_ID:
            raise InvalidArgument(f"operation_id is not valid: 1 to {MAX_OPERATION_ID} characters")
        return cls(digest(operation_id, OPERATION), verb, digest(json.dumps([type, expected]), INTENT))

    def version(self, born: str | None = None) -> str:
        """The id of the version that it makes. Without ``born``: the secret is created with it."""
        return str(VersionId(self.id, self.verb, self.intent, born or self.id[:10]))
