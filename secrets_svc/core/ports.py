"""The ports: what the use cases need from a store, and nothing of any vendor.

All calls are synchronous, may be made from any thread, and raise only :mod:`secrets_svc.core.errors`.
What a store answers is hostile until the adapter has checked it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

T = TypeVar("T")
#: Raises unless a value can be of that type.
Fits = Callable[[SecretType], None]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; ``cursor`` is opaque and ``None`` on the last page."""

    items: tuple[T, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A secret that is there: enough to decide an admission, and no value.

    :param token: the version token, opaque, never the same for two different values.
    :param size: bytes, where the store can tell without reading the value.
    :param field: what is wanted of the value, where that is a document; ``None``: all of it.
    :param pinned: whether the version was asked for by its token. It stands for the same value either way.
    :param as_of: when its store said so, where that can't be asked now (seconds since the epoch).
    """

    ref: SecretRef
    token: str
    type: SecretType
    size: int | None = None
    field: str | None = None
    pinned: bool = dataclasses.field(default=False, compare=False)
    as_of: float | None = dataclasses.field(default=None, compare=False)
    _hash: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.ref, self.token, self.field)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """A value together with the version it is the value of."""

    ref: SecretRef
    token: str
    type: SecretType
    value: SecretValue


class SecretWriter(Protocol):
    """Writes and sees metadata, never values.

    ``operation_id`` names one intent of one caller (opaque, at most 128 characters): the same call again with
    the same id succeeds without doing anything twice; the id again with another ref, verb, value, type or
    ``expected`` is ``invalid_argument``. Stores remember ids for at least an hour, and compare by
    :func:`secrets_svc.core.intents.fingerprint`: nothing that values could be tried out against may rest
    anywhere. Once its keys were replaced, a store may take the same ref and verb for the same intent.
    """

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """Store a new secret. May be repeated with the same ``operation_id``. Raises ``AlreadyExists``."""

    def update(
        self,
        ref: SecretRef,
        value: SecretValue,
        *,
        actor: str,
        operation_id: str,
        expected: str | None = None,
        fits: Fits | None = None,
    ) -> SecretMetadata:
        """Replace the value; the type stays. May be repeated with the same ``operation_id``.

        :param expected: the version token that must be current.
        :param fits: called with the type of the very version that is then replaced, at most a few times, and
            not for a repeat; what it raises is passed on, and nothing is written.
        :raises NotFound: there is none. :raises Conflict: ``expected`` is not current.
        """

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """Remove it. May be repeated with the same ``operation_id``. Raises ``NotFound``."""

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """Its metadata. Raises ``NotFound``."""

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """Secrets whose scope ``within`` covers (with ``exact``: equals), in a stable order.

        A secret that is there throughout is seen exactly once, whatever is deleted or created between pages.

        :param limit: at most so many items, 1 to 1000. :raises InvalidArgument: a cursor that isn't ours.
        """

    def close(self) -> None:
        """Let go of files and connections. May be repeated."""


class SecretReader(Protocol):
    """Reads, never writes."""

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """Which of ``refs`` are there, and at which version; absent ones are left out. No value moves.

        One failing ref fails the call: absent is not failed (I4).
        """

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """The value at version ``token``. Raises ``Changed`` if that is no longer current, ``NotFound``."""

    def close(self) -> None:
        """Let go of files and connections. May be repeated."""


@runtime_checkable
class TellsState(Protocol):
    """A reader that can tell cheaply that nothing changed."""

    def state(self) -> Hashable:
        """Of the whole store; never ``None``. Equal only while nobody has written in between."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of store can do; the generated table and the contract suite go by it.

    :param max_value: bytes it can hold in one value.
    :param empty_value: whether a value of no bytes can be stored.
    :param inline: whether a read takes microseconds, so that no thread is worth its price.
    :param separate_identities: whether its own policy engine can tell our writer from our reader (I10).
    :param durable: whether values outlive the process.
    :param consistency: ``strong``: a resolve sees every acknowledged write; ``eventual``: soon after.
    :param versions: how many versions of a secret it keeps; 1 where there is no history.
    :param versions_unset: how many unless settings say more; ``None``: as many.
    :param rollback: whether an earlier version can be made current without anybody reading its value.
    :param recovery: how long a deleted secret can be got back by the store's own means, in words.
    """

    max_value: int
    empty_value: bool = True
    inline: bool = False
    separate_identities: bool = False
    durable: bool = True
    consistency: str = "strong"
    versions: int = 1
    versions_unset: int | None = None
    rollback: bool = False
    recovery: str = "none"


class Backend(Protocol):
    """A kind of store, found by the entry point group ``secrets_svc.backends``.

    ``settings_model`` is a frozen pydantic model that refuses unknown fields; its instance comes back as the
    first argument of ``open_writer`` and ``open_reader``. ``state`` is the folder for what must last.
    """

    @property
    def name(self) -> str:
        """The word in settings, equal to the entry point's name."""

    @property
    def summary(self) -> str:
        """One line for people."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def settings_model(self) -> type[Any]:
        """Its settings."""

    def open_writer(self, settings: Any, *, state: Path) -> SecretWriter:
        """A writer with the writer's identity. Raises ``Unavailable`` or ``InvalidArgument``."""

    def open_reader(self, settings: Any, *, state: Path) -> SecretReader:
        """A reader with the reader's identity. Raises ``Unavailable`` or ``InvalidArgument``."""
