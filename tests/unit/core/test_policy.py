"""Who may do what, where."""

from __future__ import annotations

import pytest

from secrets_svc.core.policy import Action, Binding, Policy, Principal, Role
from secrets_svc.core.scope import Scope

ALICE = Principal("alice")
SHOP = Scope("flyte", "production", "shop")
WRITES = {Action.CREATE, Action.UPDATE, Action.ROLLBACK, Action.DELETE}


def policy(role: Role, scope: Scope) -> Policy:
    return Policy([Binding("alice", role, scope)])


@pytest.mark.parametrize("action", Action)
def test_an_empty_policy_denies_everything(action: Action) -> None:
    assert not Policy([]).decide(ALICE, action, SHOP).allowed


@pytest.mark.parametrize(
    ("role", "denied"),
    [(Role.VIEWER, WRITES), (Role.CONTRIBUTOR, {Action.DELETE}), (Role.ADMIN, set())],
)
def test_roles_allow_what_they_are_for(role: Role, denied: set[Action]) -> None:
    decide = policy(role, SHOP).decide
    assert {action for action in Action if not decide(ALICE, action, SHOP).allowed} == denied


def test_a_role_holds_in_its_scope_and_inside_it_only() -> None:
    decide = policy(Role.ADMIN, Scope("flyte", project="shop")).decide
    assert decide(ALICE, Action.CREATE, SHOP).allowed
    assert decide(ALICE, Action.CREATE, Scope("flyte", project="shop")).allowed
    assert not decide(ALICE, Action.CREATE, Scope("flyte")).allowed
    assert not decide(ALICE, Action.CREATE, Scope("flyte", domain="production")).allowed
    assert not decide(ALICE, Action.CREATE, Scope("flyte", "production", "mail")).allowed
    assert not decide(ALICE, Action.CREATE, Scope("other", "production", "shop")).allowed


def test_nobody_gets_anothers_role() -> None:
    assert not policy(Role.ADMIN, Scope("flyte")).decide(Principal("Alice"), Action.GET, SHOP).allowed


def test_a_denial_says_what_it_would_take() -> None:
    reason = policy(Role.VIEWER, Scope("flyte")).decide(ALICE, Action.DELETE, SHOP).reason
    assert reason == '"alice" may not delete in project-domain shop/production: that takes admin there'
