"""What only some stores can do: each ability is a Protocol of its own, declared by ``Capabilities``.

A writer or reader that has an ability has its methods; nobody asks by trying. As with the ports: calls are
synchronous, may be made from any thread, and raise only :mod:`secrets_svc.core.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Protocol, runtime_checkable

from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.secret import SecretMetadata, SecretRef


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version that a secret has or had, without its value.

    :param version: the version token, as :class:`~.secret.SecretMetadata` has it while it is current.
    :param created_by: who wrote it, where the store can tell.
    :param readable: whether the value is still kept; ``False`` where it has expired or was destroyed.
    """

    version: str
    created_at: datetime
    created_by: str | None
    current: bool
    readable: bool = True
    size: int | None = None


@runtime_checkable
class KeepsHistory(Protocol):
    """A writer that can tell earlier versions."""

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """The versions of what is there now, newest first; at least the current one. Raises ``NotFound``.

        What came before a delete is not part of it.

        :param limit: at most so many, 1 to 1000. :raises InvalidArgument: another limit.
        """


@runtime_checkable
class ReadsVersions(Protocol):
    """A reader that can give earlier versions."""

    def resolve_version(self, ref: SecretRef, version: str) -> Resolved:
        """That version, if it can be read. No value moves.

        :raises NotFound: no such secret, no such version of it, or its value is no longer kept; the message
            says which.
        """

    def read_version(self, ref: SecretRef, version: str) -> SecretVersion:
        """The value of that version. Raises as :meth:`resolve_version`."""


@runtime_checkable
class ReadsFields(Protocol):
    """A reader whose values may be JSON documents, of which it can give one field."""

    def read_field(self, ref: SecretRef, token: str, field: str) -> SecretVersion:
        """The value of ``field`` at version ``token``: text, or the digits of a whole number.

        :raises Changed, NotFound: as :meth:`~.ports.SecretReader.read`. :raises InvalidArgument: the value
            is no JSON object, has no such field, or something else in it; or what is wanted is fixed.
        """


@runtime_checkable
class RollsBack(Protocol):
    """A writer that can make an earlier version current without anybody reading its value."""

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """Make version ``to`` the current one. May be repeated with the same ``operation_id``.

        The secret then has a new version token, or that of ``to`` again: either stands for that value.

        :param expected: the version token that must be current.
        :raises NotFound: no such secret, or that version is not kept. :raises Conflict: ``expected`` is not
            current.
        """


@runtime_checkable
class RefusesWrites(Protocol):
    """A writer of a store where nothing may be written: what is there is somebody else's."""

    def refuse_write(self, ref: SecretRef) -> NoReturn:
        """:raises Unsupported: saying so."""


@runtime_checkable
class Purges(Protocol):
    """A writer whose ``delete`` leaves something recoverable, and which can leave nothing."""

    def purge(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """Delete for good, whether it is there or was deleted before. Raises ``NotFound`` where neither."""


@runtime_checkable
class Probes(Protocol):
    """A writer or a reader that can ask its store whether it has what is needed, before anybody needs it."""

    def probe(self) -> None:
        """Ask, with the identity that it holds. Nothing is written and no value moves.

        :raises SecretsError: something is missing, and the message says what; or the store can't be asked.
        """


def probe(side: object) -> None:
    """Have ``side`` ask, if it can. Raises as :meth:`Probes.probe`."""
    if isinstance(side, Probes):
        side.probe()


@runtime_checkable
class PrintsPolicy(Protocol):
    """A backend that can say the least rights that its writer and its reader need."""

    def policy(self, settings: Any, *, role: str) -> str:
        """In the language of the store's own service, made of the same names and paths as the calls.

        :param settings: of the store. :param role: ``writer`` or ``reader``.
        :raises InvalidArgument: neither.
        """
