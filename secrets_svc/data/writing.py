"""Writing: nothing reaches a store that it, or the value's type, can't hold."""

from __future__ import annotations

from secrets_svc.core.ports import Capabilities, Fits, Page, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.limits import check_value


class ValidatedWriter:
    """A :class:`SecretWriter` in front of a store's own: validates, then hands on.

    :param writer: the store's. :param capabilities: the limits to hold it to. :param store: its name.
    """

    def __init__(self, *, writer: SecretWriter, capabilities: Capabilities, store: str) -> None:
        self._writer = writer
        self._capabilities = capabilities
        self.store = store

    def check(self, ref: SecretRef, value: SecretValue, type: SecretType) -> None:
        """Raise what :meth:`create` would raise about the value, and write nothing."""
        check_value(ref, value, type, self._capabilities)

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See :class:`SecretWriter`; also ``TooLarge``, ``InvalidArgument``, ``Unsupported``."""
        self.check(ref, value, type)
        return self._writer.create(ref, value, type, actor=actor, operation_id=operation_id)

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
        """See :class:`SecretWriter`; the new value must fit the type that the secret has.

        The store itself asks for that: a type that was looked up beforehand may be another's by then.
        """

        def check(type: SecretType) -> None:
            self.check(ref, value, type)
            if fits is not None:
                fits(type)

        self.check(ref, value, SecretType.GENERIC)  # what holds for any type
        return self._writer.update(
            ref, value, actor=actor, operation_id=operation_id, expected=expected, fits=check
        )

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :class:`SecretWriter`."""
        self._writer.delete(ref, actor=actor, operation_id=operation_id)

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See :class:`SecretWriter`."""
        return self._writer.describe(ref)

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See :class:`SecretWriter`."""
        return self._writer.list(within, exact=exact, limit=limit, cursor=cursor)

    def close(self) -> None:
        """Close the store's writer."""
        self._writer.close()
