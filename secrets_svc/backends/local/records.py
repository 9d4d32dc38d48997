"""One entry of the store without its value, and the check that it is what the writer made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from secrets_svc.backends.local.keys import KeysGone
from secrets_svc.backends.local.sealing import ENTRY, DoesNotVerify, fingerprint, sign, verify
from secrets_svc.core.errors import InvalidArgument, Spoilt, Unavailable
from secrets_svc.core.naming import parse_storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType

#: The columns of :class:`Record`, in order.
COLUMNS = (
    "storage_name, signature, token, type, size, created_at, updated_at, created_by, updated_by, "
    "generation, digest"
)
_TYPES = (str, bytes, str, str, int, int, int, str, str, str, bytes)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Entries whose signature need not be checked again; about 100 bytes each.
MAX_REMEMBERED = 20_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """A row but for its value; times are microseconds since 1970, UTC."""

    storage_name: str
    signature: bytes
    token: str
    type: str
    size: int
    created_at: int
    updated_at: int
    created_by: str
    updated_by: str
    generation: str
    digest: bytes

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> Record:
        """From :data:`COLUMNS`. A file that was tampered with can hold any type in any column."""
        if tuple(map(type, row)) != _TYPES:
            raise changed_outside(str(row[0]))
        return cls(*row)

    @property
    def signed_fields(self) -> tuple[str | bytes | int, ...]:
        """Everything but the signature."""
        return (
            *(self.storage_name, self.token, self.type, self.size, self.created_at, self.updated_at),
            *(self.created_by, self.updated_by, self.generation, self.digest),
        )

    def signed(self, key: Ed25519PrivateKey) -> Record:
        """The same with its signature by ``key``."""
        return replace(self, signature=sign(key, self.signed_fields))

    @property
    def row(self) -> tuple[str | bytes | int, ...]:
        """For :data:`COLUMNS`."""
        name, *rest = self.signed_fields
        return (name, self.signature, *rest)

    @property
    def answer(self) -> tuple[str | int, ...]:
        """What a caller is told of it, besides its name."""
        return (
            *(self.token, self.type, self.size, self.created_at, self.updated_at),
            *(self.created_by, self.updated_by),
        )

    @classmethod
    def of_answer(cls, storage_name: str, answer: Sequence[Any]) -> Record:
        """Enough for :meth:`metadata`. Raises ``TypeError`` if it can't be what :attr:`answer` gave."""
        if tuple(map(type, answer)) != _TYPES[2:9]:
            raise TypeError("not an answer")
        values: tuple[Any, ...] = (storage_name, b"", *answer, "", b"")
        return cls(*values)

    @property
    def ref(self) -> SecretRef:
        """The reference. Only of a record that verifies."""
        return parse_storage_name(self.storage_name)

    def metadata(self) -> SecretMetadata:
        """For the port. Only of a record that verifies."""
        return SecretMetadata(
            ref=self.ref,
            type=SecretType(self.type),
            version=self.token,
            created_at=time_of(self.created_at),
            updated_at=time_of(self.updated_at),
            created_by=self.created_by,
            updated_by=self.updated_by,
            size=self.size,
        )


def now() -> int:
    """Microseconds since 1970, UTC."""
    return (datetime.now(UTC) - _EPOCH) // _MICROSECOND


def time_of(microseconds: int) -> datetime:
    """What :func:`now` told then."""
    return _EPOCH + microseconds * _MICROSECOND


def project_key(scope: Scope) -> str:
    """What the project index goes by; neither part holds a ``/``."""
    return f"{scope.organization}/{scope.project or ''}"


def changed_outside(storage_name: str, part: str = "") -> Spoilt:
    """For an entry that doesn't verify. :param part: what of the secret it is, if not all."""
    try:
        what = f"{part}secret {parse_storage_name(storage_name)}"
    except InvalidArgument:
        what = "an entry"
    return Spoilt(
        f"{what} in the local store does not verify: it was changed outside this service; "
        "delete and create it again, or bring a backup back with secret restore"
    )


class Verifier:
    """Says which records the writer made, and remembers it.

    :param key_of: the writer's public key of a generation; raises ``KeysGone``.
    """

    def __init__(self, key_of: Callable[[str], Ed25519PublicKey]) -> None:
        self._key_of = key_of
        self._good: set[bytes] = set()

    def checked(self, row: tuple[Any, ...]) -> Record:
        """The record in ``row`` (:data:`COLUMNS`).

        :raises Unavailable: it does not verify. :raises KeysGone: see there.
        """
        record = Record.of_row(row)
        if not self.holds(record.signature, record.signed_fields, record.generation):
            raise changed_outside(record.storage_name)
        return record

    def holds(
        self, signature: bytes, fields: tuple[str | bytes | int, ...], generation: str, *, form: str = ENTRY
    ) -> bool:
        """Whether the writer signed ``fields`` with its key of ``generation``. Raises ``KeysGone``."""
        known = fingerprint(signature, fields, form=form)
        if known in self._good:
            return True
        try:
            verify(self._key_of(generation), signature, fields, form=form)
        except DoesNotVerify:
            return False
        if len(self._good) >= MAX_REMEMBERED:
            self._good.clear()
        self._good.add(known)
        return True


def again_after_rotation(attempt: Callable[[], T]) -> T:
    """``attempt()``, and again while keys vanish between finding an entry and loading its keys.

    :raises Unavailable: they are really gone.
    """
    for _ in range(3):
        try:
            return attempt()
        except KeysGone:
            continue
    raise Unavailable(
        "the key files of an entry in the local store are missing: bring a backup back with secret restore"
    )
