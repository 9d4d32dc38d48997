"""Who may do what, where. An empty policy denies everything (I5)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from secrets_svc.core.scope import Scope

#: What the audit calls a caller that is not known; nobody else's name.
UNKNOWN_ACTOR = "anonymous"
#: Who has the token that the first start makes, and may do everything.
ADMIN = "admin"


class Action(enum.StrEnum):
    """What a principal can ask for."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    GET = "get"
    LIST = "list"
    EXPLAIN = "explain"
    HISTORY = "history"
    ROLLBACK = "rollback"


class Role(enum.StrEnum):
    """A named set of actions. Nobody can read values: there is no such action (I1)."""

    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    ADMIN = "admin"


_VIEW = frozenset({Action.GET, Action.LIST, Action.EXPLAIN, Action.HISTORY})
#: A contributor adds and rotates; taking a secret away from running tasks is an admin's.
ROLE_ACTIONS: dict[Role, frozenset[Action]] = {
    Role.VIEWER: _VIEW,
    Role.CONTRIBUTOR: _VIEW | {Action.CREATE, Action.UPDATE, Action.ROLLBACK},
    Role.ADMIN: _VIEW | {Action.CREATE, Action.UPDATE, Action.ROLLBACK, Action.DELETE},
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has shown who they are."""

    name: str


@dataclass(frozen=True, slots=True)
class Binding:
    """``principal`` has ``role`` in ``scope`` and in everything inside it."""

    principal: str
    role: Role
    scope: Scope


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and why in one line that is safe to show."""

    allowed: bool
    reason: str


class Policy:
    """All bindings of an installation.

    :param bindings: in any order; they only ever add.
    """

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self._bindings: dict[str, tuple[Binding, ...]] = {}
        for binding in bindings:
            self._bindings[binding.principal] = (*self._bindings.get(binding.principal, ()), binding)

    def bindings_of(self, principal: Principal) -> tuple[Binding, ...]:
        """What ``principal`` was given."""
        return self._bindings.get(principal.name, ())

    def decide(self, principal: Principal, action: Action, scope: Scope) -> Decision:
        """Whether ``principal`` may do ``action`` on all of ``scope``."""
        for binding in self.bindings_of(principal):
            if action in ROLE_ACTIONS[binding.role] and binding.scope.covers(scope):
                return Decision(True, f"{binding.role} in {binding.scope}")
        needed = " or ".join(role for role in Role if action in ROLE_ACTIONS[role])
        return Decision(False, f'"{principal.name}" may not {action} in {scope}: that takes {needed} there')
