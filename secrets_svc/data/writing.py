"""Writing: nothing reaches a store that it, or the value's type, can't hold; each scope has its store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from secrets_svc.core.abilities import RefusesWrites, VersionInfo
from secrets_svc.core.errors import InvalidArgument, NotFound, SecretsError, Unreadable
from secrets_svc.core.ports import Capabilities, Fits, Page, SecretWriter
from secrets_svc.core.routing import Routes
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.limits import check_value
from secrets_svc.data.retrying import RetryingWriter, history_of, purge_of, rollback_of


class ValidatedWriter:
    """A :class:`SecretWriter` in front of a store's own: validates, then hands on.

    :param writer: the store's. :param capabilities: the limits to hold it to. :param store: its name.
    :param refuses: where nothing may be written at all.
    """

    def __init__(
        self,
        *,
        writer: SecretWriter,
        capabilities: Capabilities,
        store: str,
        refuses: RefusesWrites | None = None,
    ) -> None:
        self._writer = writer
        self._refuses = refuses
        self._capabilities = capabilities
        self.store = store

    def check(self, ref: SecretRef, value: SecretValue, type: SecretType) -> None:
        """Raise what :meth:`create` would raise about the value, and write nothing."""
        self._check_writable(ref)
        check_value(ref, value, type, self._capabilities)

    def check_delete(self, ref: SecretRef) -> None:
        """Raise what :meth:`delete` would raise, and delete nothing."""
        self._check_writable(ref)
        self._writer.describe(ref)

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
        """See :class:`SecretWriter`; also ``Unsupported``."""
        self._check_writable(ref)
        self._writer.delete(ref, actor=actor, operation_id=operation_id)

    def purge(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :class:`~secrets_svc.core.abilities.Purges`; a plain deletion where that leaves nothing."""
        self._check_writable(ref)
        purge_of(self._writer)(ref, actor=actor, operation_id=operation_id)

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See :class:`SecretWriter`."""
        return self._writer.describe(ref)

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See :class:`SecretWriter`."""
        return self._writer.list(within, exact=exact, limit=limit, cursor=cursor)

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :class:`~secrets_svc.core.abilities.KeepsHistory`; also ``Unsupported``."""
        return history_of(self._writer, self.store).history(ref, limit=limit)

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :class:`~secrets_svc.core.abilities.RollsBack`; also ``Unsupported``."""
        self._check_writable(ref)
        writer = rollback_of(self._writer, self.store)
        return writer.rollback(ref, to=to, actor=actor, operation_id=operation_id, expected=expected)

    @property
    def is_read_only(self) -> bool:
        """Whether nothing may be written at all."""
        return self._refuses is not None

    def _check_writable(self, ref: SecretRef) -> None:
        if self._refuses is not None:
            self._refuses.refuse_write(ref)

    @property
    def condition(self) -> str:
        """As :attr:`~secrets_svc.data.health.Health.state`, as of the last calls."""
        return self._writer.health.state if isinstance(self._writer, RetryingWriter) else "closed"

    def probe(self) -> None:
        """See :class:`~secrets_svc.core.abilities.Probes`; a store that answers inline is asked nothing."""
        if isinstance(self._writer, RetryingWriter):
            self._writer.probe()

    def close(self) -> None:
        """Close the store's writer."""
        self._writer.close()


class RoutedWriter:
    """A :class:`SecretWriter` that hands on to the store of the scope.

    :param stores: by name. :param routes: lead to no other stores.
    """

    def __init__(self, stores: Mapping[str, ValidatedWriter], routes: Routes) -> None:
        self._stores = dict(stores)
        self._routes = routes

    @classmethod
    def of(cls, store: ValidatedWriter) -> RoutedWriter:
        """With one store for all."""
        return cls({store.store: store}, Routes.to(store.store))

    def store_of(self, scope: Scope) -> str:
        """The name of the store that secrets of exactly ``scope`` are in."""
        return self._routes.store_of(scope)

    def check(self, ref: SecretRef, value: SecretValue, type: SecretType) -> None:
        """See :meth:`ValidatedWriter.check`."""
        self._of(ref).check(ref, value, type)

    def check_delete(self, ref: SecretRef) -> None:
        """See :meth:`ValidatedWriter.check_delete`."""
        self._of(ref).check_delete(ref)

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See :class:`SecretWriter`."""
        return self._of(ref).create(ref, value, type, actor=actor, operation_id=operation_id)

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
        """See :class:`SecretWriter`."""
        return self._of(ref).update(
            ref, value, actor=actor, operation_id=operation_id, expected=expected, fits=fits
        )

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :class:`SecretWriter`."""
        self._of(ref).delete(ref, actor=actor, operation_id=operation_id)

    def purge(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :meth:`ValidatedWriter.purge`."""
        self._of(ref).purge(ref, actor=actor, operation_id=operation_id)

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See :class:`SecretWriter`."""
        return self._of(ref).describe(ref)

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See :class:`SecretWriter`: one store after the other, in the order of the routes.

        What lies in a store that its scope isn't routed to is left out: no pod gets it.
        """
        names = self._stores_within(within, exact=exact)
        at, inner = _place_of(cursor, names)
        items: list[SecretMetadata] = []
        while at < len(names):
            page = self._stores[names[at]].list(within, exact=exact, limit=limit - len(items), cursor=inner)
            items += [item for item in page.items if self.store_of(item.ref.scope) == names[at]]
            inner = page.cursor
            if inner is None:
                at += 1
            if len(items) == limit:
                break
        rest = _cursor(names, at, inner) if at < len(names) else None
        return Page(tuple(items), rest)

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :meth:`ValidatedWriter.history`."""
        return self._of(ref).history(ref, limit=limit)

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :meth:`ValidatedWriter.rollback`."""
        return self._of(ref).rollback(ref, to=to, actor=actor, operation_id=operation_id, expected=expected)

    def is_answering(self, organization: str) -> bool:
        """Whether any store can be used: one that can't is no reason to keep people from the others."""
        return any(_answers(store, organization) for store in self._stores.values())

    def states(self) -> dict[str, str]:
        """How each store fares, in a word."""
        return {name: store.condition for name, store in self._stores.items()}

    def probes(self) -> dict[str, Callable[[], None]]:
        """What asks each store whether it has what is needed."""
        return {name: store.probe for name, store in self._stores.items()}

    def _stores_within(self, within: Scope, *, exact: bool) -> tuple[str, ...]:
        return (self.store_of(within),) if exact else self._routes.stores

    def close(self) -> None:
        """Close all of them."""
        for store in self._stores.values():
            store.close()

    def _of(self, ref: SecretRef) -> ValidatedWriter:
        return self._stores[self.store_of(ref.scope)]


def _answers(store: ValidatedWriter, organization: str) -> bool:
    # Not a secret that is there: a single damaged entry would take everything out of service.
    probe = "probe-of-readiness"
    scopes = [Scope(organization)]
    if store.is_read_only:  # of other levels it knows without asking that it has none
        scopes += [Scope(organization, domain, project) for domain, project in _other_levels(probe)]
    try:
        for scope in scopes:
            with suppress(NotFound, Unreadable):
                store.describe(SecretRef(scope, probe))
    except SecretsError:
        return False
    return True


def _other_levels(name: str) -> tuple[tuple[str | None, str | None], ...]:
    return (name, None), (None, name), (name, name)


def _cursor(names: tuple[str, ...], at: int, inner: str | None) -> str:
    """With one store it is that store's own."""
    return inner or "" if len(names) == 1 else f"{names[at]}/{inner or ''}"


def _place_of(cursor: str | None, names: tuple[str, ...]) -> tuple[int, str | None]:
    """At which store to go on, and with which cursor of its own."""
    if cursor is None:
        return 0, None
    if len(names) == 1:
        return 0, cursor
    store, slash, inner = cursor.partition("/")
    if store not in names or not slash:
        raise InvalidArgument("cursor is not one that a listing gave")
    return names.index(store), inner or None
