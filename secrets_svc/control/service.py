"""The control plane's use cases. One method a call; every one ends in exactly one audit event."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.audit import AuditEvent, AuditSecret, AuditSink
from secrets_svc.core.errors import (
    AlreadyExists,
    Conflict,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    SecretsError,
)
from secrets_svc.core.policy import Action, Binding, Policy, Principal
from secrets_svc.core.ports import Page, SecretWriter
from secrets_svc.core.scope import Scope, precedence_chain
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

T = TypeVar("T")


class DataPlane(SecretWriter, Protocol):
    """Where values go: a writer that validates, each scope's into its store."""

    def store_of(self, scope: Scope) -> str:
        """The name of the store that secrets of exactly ``scope`` are in."""

    def check(self, ref: SecretRef, value: SecretValue, type: SecretType) -> None:
        """Raise what ``create`` would raise about the value."""

    def check_delete(self, ref: SecretRef) -> None:
        """Raise what ``delete`` would raise."""

    def purge(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :class:`~secrets_svc.core.abilities.Purges`; ``delete`` where that leaves nothing anyway."""

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :class:`~secrets_svc.core.abilities.KeepsHistory`; also ``Unsupported``."""

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :class:`~secrets_svc.core.abilities.RollsBack`; also ``Unsupported``."""


@dataclass(slots=True)
class Call:
    """Who calls, under which request id, and which intent it is.

    :param idempotency_key: the caller's own name for the intent, so that it may be repeated.
    :param edge: which edge it came through, where events tell that.
    :ivar recorded: whether the audit has the call's event.
    """

    principal: Principal
    request_id: str
    idempotency_key: str | None = None
    edge: str | None = None
    recorded: bool = field(default=False, init=False)

    @property
    def operation_id(self) -> str:
        """Unique to this principal, so that nobody can meet another's key."""
        if self.idempotency_key is None:
            return uuid.uuid4().hex
        return hashlib.sha256(f"{self.principal.name}\0{self.idempotency_key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Step:
    """One scope of an explanation.

    :param outcome: ``hit``, ``shadowed``, ``absent``, or ``hidden``: behind the hit, where the caller may not
        look.
    :param store: where that scope's secrets are.
    :param metadata: where something is there and the caller may look.
    """

    scope: Scope
    outcome: str
    store: str
    metadata: SecretMetadata | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which secret a name means in a scope, and why."""

    name: str
    scope: Scope
    steps: tuple[Step, ...]

    @property
    def winner(self) -> Step | None:
        """Where the secret is that a pod would get."""
        return next((step for step in self.steps if step.outcome == "hit"), None)


class ControlPlane:
    """Authorises, hands on, audits.

    :param policy: who may do what. :param data_plane: where values go.
    :param audit: gets one event a call, before the caller gets the answer.
    """

    def __init__(self, *, policy: Policy, data_plane: DataPlane, audit: AuditSink) -> None:
        self._policy = policy
        self._data_plane = data_plane
        self._audit = audit

    def create(
        self, call: Call, ref: SecretRef, value: SecretValue, type: SecretType, *, dry_run: bool = False
    ) -> SecretMetadata | None:
        """Store a new secret; a dry run only checks, and answers ``None``.

        :raises AlreadyExists: also on a dry run.
        """

        def write() -> SecretMetadata | None:
            if not dry_run:
                return self._data_plane.create(
                    ref, value, type, actor=call.principal.name, operation_id=call.operation_id
                )
            self._data_plane.check(ref, value, type)
            if self._find(ref) is not None:
                raise AlreadyExists(f"secret {ref} already exists")
            return None

        return self._audited(call, Action.CREATE, ref, write, dry_run=dry_run)

    def update(
        self,
        call: Call,
        ref: SecretRef,
        value: SecretValue,
        *,
        expected: str | None = None,
        type: SecretType | None = None,
        dry_run: bool = False,
    ) -> SecretMetadata:
        """Replace a value. Raises ``NotFound``, and ``Conflict`` where ``expected`` is not current.

        :param type: what it must be of, where the caller says so: it stays what it is.
        """

        def fits(actual: SecretType) -> None:
            if type is not None and actual is not type:
                raise InvalidArgument(f"secret {ref} is of type {actual}, which stays: it is not {type}")

        def write() -> SecretMetadata:
            if not dry_run:
                return self._data_plane.update(
                    ref,
                    value,
                    actor=call.principal.name,
                    operation_id=call.operation_id,
                    expected=expected,
                    fits=fits,
                )
            current = self._data_plane.describe(ref)
            fits(current.type)
            self._data_plane.check(ref, value, current.type)
            if expected is not None and expected != current.version:
                raise Conflict(f"secret {ref} is not at the expected version any more")
            return current

        return self._audited(call, Action.UPDATE, ref, write, dry_run=dry_run)

    def delete(
        self,
        call: Call,
        ref: SecretRef,
        *,
        dry_run: bool = False,
        purge: bool = False,
        hidden: bool = False,
    ) -> None:
        """Remove a secret. Raises ``NotFound``.

        :param purge: leave nothing that could be got back, also of one that was deleted before.
        :param hidden: the edge keeps it from sight: it is not found, for whoever may delete.
        """

        def write() -> None:
            _refuse_hidden(ref, hidden)
            if dry_run:
                self._data_plane.check_delete(ref)
                return
            remove = self._data_plane.purge if purge else self._data_plane.delete
            remove(ref, actor=call.principal.name, operation_id=call.operation_id)

        self._audited(call, Action.DELETE, ref, write, dry_run=dry_run, purge=purge)

    def history(self, call: Call, ref: SecretRef, *, limit: int) -> tuple[VersionInfo, ...]:
        """The versions of a secret, newest first. Raises ``Unsupported`` where its store keeps none."""
        return self._audited(call, Action.HISTORY, ref, lambda: self._data_plane.history(ref, limit=limit))

    def rollback(self, call: Call, ref: SecretRef, *, to: str, expected: str | None = None) -> SecretMetadata:
        """Make version ``to`` current again. Raises ``Unsupported`` where its store can't do that unread."""

        def write() -> SecretMetadata:
            return self._data_plane.rollback(
                ref, to=to, actor=call.principal.name, operation_id=call.operation_id, expected=expected
            )

        return self._audited(call, Action.ROLLBACK, ref, write)

    def describe(self, call: Call, ref: SecretRef, *, hidden: bool = False) -> SecretMetadata:
        """A secret's metadata. Raises ``NotFound``.

        :param hidden: the edge keeps it from sight: it is not found, for whoever may look.
        """

        def look() -> SecretMetadata:
            _refuse_hidden(ref, hidden)
            return self._data_plane.describe(ref)

        return self._audited(call, Action.GET, ref, look)

    def list(
        self, call: Call, within: Scope, *, exact: bool, limit: int, cursor: str | None
    ) -> Page[SecretMetadata]:
        """One page of what ``within`` covers."""
        return self._audited_scope(
            call,
            Action.LIST,
            within,
            lambda: self._data_plane.list(within, exact=exact, limit=limit, cursor=cursor),
        )

    def explain(self, call: Call, ref: SecretRef) -> Explanation:
        """What the name means to a pod in the scope of ``ref``, and why.

        Of a scope where the caller may not ``get``, that it wins or has none is told, which such a pod finds
        out too; nothing about the secret there, and nothing about scopes behind the winner.
        """
        return self._audited(call, Action.EXPLAIN, ref, lambda: self._explain(call.principal, ref))

    def whoami(self, call: Call) -> tuple[Binding, ...]:
        """What the caller may do, and where. Anybody who is known may ask."""
        event = AuditEvent("api", "whoami", call.principal.name, "ok", call.request_id, detail=_through(call))
        self._record(call, event)
        return self._policy.bindings_of(call.principal)

    def _explain(self, principal: Principal, ref: SecretRef) -> Explanation:
        steps: list[Step] = []
        for scope in precedence_chain(ref.scope):
            hit_before = any(step.outcome == "hit" for step in steps)
            store = self._data_plane.store_of(scope)
            may_look = self._policy.decide(principal, Action.GET, scope).allowed
            if hit_before and not may_look:
                steps.append(Step(scope, "hidden", store, None))
                continue
            metadata = self._find(SecretRef(scope, ref.name))
            outcome = "absent" if metadata is None else "shadowed" if hit_before else "hit"
            steps.append(Step(scope, outcome, store, metadata if may_look else None))
        return Explanation(ref.name, ref.scope, tuple(steps))

    def _find(self, ref: SecretRef) -> SecretMetadata | None:
        try:
            return self._data_plane.describe(ref)
        except NotFound:
            return None

    def _audited(
        self,
        call: Call,
        action: Action,
        ref: SecretRef,
        work: Callable[[], T],
        *,
        dry_run: bool = False,
        purge: bool = False,
    ) -> T:
        flags = {"dry_run": dry_run, "purge": purge}
        detail: dict[str, object] = {name: True for name, is_set in flags.items() if is_set}

        def secrets(result: object) -> tuple[AuditSecret, ...]:
            version = result.version if isinstance(result, SecretMetadata) and not dry_run else None
            return (AuditSecret.of(ref, version=version, store=self._data_plane.store_of(ref.scope)),)

        return self._run(call, action, ref.scope, work, secrets=secrets, detail=detail)

    def _audited_scope(self, call: Call, action: Action, scope: Scope, work: Callable[[], T]) -> T:
        return self._run(call, action, scope, work, secrets=lambda _: (), detail={"scope": str(scope)})

    def _run(
        self,
        call: Call,
        action: Action,
        scope: Scope,
        work: Callable[[], T],
        *,
        secrets: Callable[[object], tuple[AuditSecret, ...]],
        detail: dict[str, object],
    ) -> T:
        """Authorise, do ``work``, record how it ended, and only then answer."""

        def record(outcome: str, result: object = None) -> None:
            event = AuditEvent(
                surface="api",
                action=action,
                actor=call.principal.name,
                outcome=outcome,
                request_id=call.request_id,
                secrets=secrets(result),
                detail={**_through(call), **detail},
            )
            self._record(call, event)

        try:
            decision = self._policy.decide(call.principal, action, scope)
            if not decision.allowed:
                raise PermissionDenied(decision.reason)
            result = work()
        except SecretsError as error:
            record(error.code)
            raise
        except Exception:
            record(Internal.code)
            raise
        record("ok", result)
        return result

    def _record(self, call: Call, event: AuditEvent) -> None:
        self._audit.record(event)
        call.recorded = True


def _through(call: Call) -> dict[str, object]:
    return {} if call.edge is None else {"edge": call.edge}


def _refuse_hidden(ref: SecretRef, hidden: bool) -> None:
    if hidden:
        raise NotFound(f"there is no secret {ref} among those that are shown")
