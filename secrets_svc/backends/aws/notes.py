"""Staging labels of ours: they ride on a version, are written with its value, and are told without it.

A *note* says who made a version current, when, and what it is. A *pending* label says that a version has
not been made current yet, as far as its writer knows. A *refused* label names many operations at once whose
versions never will be. A secret can have 20 labels in all; so notes of old versions are taken off.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.names import escaped, unescaped
from secrets_svc.backends.aws.versions import ROLLBACK, Operation
from secrets_svc.core.secret import SecretType

_NOTE = "secrets-svc"
_PENDING = "secrets-svc-pending"
_REFUSED = "secrets-svc-refused"
#: Characters of an operation in it (30 bits, among a hundred versions), and how many of those.
_SHORT = 6
_ROOM = 33
#: Rides on a version that was put again only to have AWS compare its value.
COMPARED = "secrets-svc-compared"
#: Characters that a label can have.
_MAX_LABEL = 256
#: Characters of an actor's name that are kept, escaped.
_MAX_ACTOR = 150
_TIME = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class Note:
    """What is noted of a write.

    :ivar type: of the value, and ``size`` in bytes; not of a rollback.
    """

    verb: str
    operation: str
    intent: str
    at: datetime
    by: str
    type: SecretType | None = None
    size: int | None = None

    @classmethod
    def now(
        cls, operation: Operation, actor: str, *, at: datetime, type: SecretType | None, size: int | None
    ) -> Note:
        """For a label that is about to be written: with what a label can carry of the actor's name."""
        by = unescaped(escaped(actor, _MAX_ACTOR)) or ""
        return cls(operation.verb, operation.id, operation.intent, at, by, type, size)

    @classmethod
    def parse(cls, label: str) -> Note | None:
        """Of :meth:`label`; ``None`` for anything else."""
        parts = label.split("+")
        if len(parts) != 8 or parts[0] != _NOTE or parts[1] not in "cudr":
            return None
        _, verb, operation, intent, at, type_, size, by = parts
        moment, actor, kind, number = _moment(at), unescaped(by), _type(type_), _size(size)
        if moment is None or actor is None:
            return None
        return cls(verb, operation, intent, moment, actor, kind, number)

    @classmethod
    def of_tags(cls, tags: Mapping[str, str], verb: str, operation: str, intent: str) -> Note | None:
        """From what :meth:`tags` made; ``None`` where somebody changed that."""
        at, by = _moment(tags.get(names.CREATED_AT, "")), unescaped(tags.get(names.CREATED_BY, "="))
        if at is None or by is None:
            return None
        kind, number = _type(tags.get(names.TYPE, "")), _size(tags.get(names.SIZE, ""))
        return cls(verb, operation, intent, at, by, kind, number)

    def tags(self) -> dict[str, str]:
        """For a secret that is created with this."""
        return {
            names.TYPE: self.type or "",
            names.SIZE: str(self.size),
            names.CREATED_AT: _shown(self.at),
            names.CREATED_BY: escaped(self.by, _MAX_ACTOR),
        }

    def label(self) -> str:
        """At most 256 characters."""
        size = "" if self.size is None else str(self.size)
        parts = (
            _NOTE,
            self.verb,
            self.operation,
            self.intent,
            _shown(self.at),
            self.type or "",
            size,
            escaped(self.by, _MAX_ACTOR),
        )
        label = "+".join(parts)
        assert len(label) <= _MAX_LABEL, "all parts are bounded"
        return label

    @property
    def is_rollback(self) -> bool:
        """Of a version that was there before."""
        return self.verb == ROLLBACK


def pending(operation: str) -> str:
    """The label of a version that this operation has not made current yet."""
    return f"{_PENDING}+{operation}"


def is_pending(label: str) -> bool:
    """Whether it is such a label of any operation."""
    return label.startswith(f"{_PENDING}+")


class Refusals(NamedTuple):
    """What a refused label tells.

    :ivar number: the later, the higher. :ivar operations: beginnings of them.
    """

    number: int
    operations: tuple[str, ...]

    @property
    def is_full(self) -> bool:
        """No more go into one label."""
        return len(self.operations) >= _ROOM

    def label(self) -> str:
        """That tells it."""
        return "+".join((_REFUSED, str(self.number), *self.operations))

    def having(self, operation: str) -> Refusals:
        """With one more."""
        return self._replace(operations=(*self.operations, operation[:_SHORT]))

    def without(self, operation: str) -> Refusals:
        """Without that one."""
        return self._replace(operations=tuple(each for each in self.operations if each != operation[:_SHORT]))


def refusals(label: str) -> Refusals | None:
    """In a label; ``None`` for another one."""
    head, *parts = label.split("+")
    if head != _REFUSED or not parts or not (parts[0].isascii() and parts[0].isdigit()):
        return None
    return Refusals(int(parts[0][:9]), tuple(parts[1:]))


def is_among(operation: str, refused: Container[str]) -> bool:
    """Whether an operation is one of :attr:`Refusals.operations`."""
    return operation[:_SHORT] in refused


def is_ours(label: str) -> bool:
    """Whether we put it there."""
    return label == COMPARED or label.startswith((f"{_NOTE}+", f"{_PENDING}+", f"{_REFUSED}+"))


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).strftime(_TIME)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _type(text: str) -> SecretType | None:
    try:
        return SecretType(text)
    except ValueError:
        return None


def _size(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None
