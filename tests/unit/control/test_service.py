"""The control plane: who may, before anything else; and one audit event a call, whatever comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from secrets_svc.backends.memory import MemoryStore
from secrets_svc.control.service import Call, ControlPlane, DataPlane
from secrets_svc.core.audit import AuditEvent, AuditSink
from secrets_svc.core.errors import (
    AlreadyExists,
    Conflict,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    SecretsError,
    Unavailable,
)
from secrets_svc.core.policy import Binding, Policy, Principal, Role
from secrets_svc.core.ports import Capabilities
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.writing import RoutedWriter, ValidatedWriter

WIDE = Scope("flyte")
SHOP = Scope("flyte", "production", "shop")
REF = SecretRef(SHOP, "key")
VALUE = SecretValue(b"value-of-the-test")
ADMIN, NOBODY, VIEWER = "admin", "nobody", "viewer"


@dataclass
class Trail(AuditSink):
    """An audit sink; with ``broken`` it keeps nothing."""

    events: list[AuditEvent] = field(default_factory=list)
    broken: bool = False

    def record_all(self, events: Sequence[AuditEvent]) -> None:
        if self.broken:
            raise Unavailable("the audit record can't be written")
        self.events.extend(events)


class Watched:
    """A data plane that counts its calls, and fails with ``error`` where there is one."""

    def __init__(self, inner: RoutedWriter) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name == "store_of":  # asks nobody
            return found

        def called(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            if self.error is not None:
                raise self.error
            return found(*args, **kwargs)

        return called


@dataclass
class World:
    plane: ControlPlane
    data: Watched
    trail: Trail


@pytest.fixture
def world() -> World:
    writer = MemoryStore().writer()
    vault = ValidatedWriter(writer=writer, capabilities=Capabilities(max_value=64), store="vault-1")
    data = Watched(RoutedWriter.of(vault))
    policy = Policy([Binding(ADMIN, Role.ADMIN, WIDE), Binding(VIEWER, Role.VIEWER, WIDE)])
    trail = Trail()
    plane: DataPlane = data  # type: ignore[assignment]
    return World(ControlPlane(policy=policy, data_plane=plane, audit=trail), data, trail)


def call(name: str = ADMIN, key: str | None = None) -> Call:
    return Call(Principal(name), "request-1", key)


def create(plane: ControlPlane, who: Call, ref: SecretRef = REF, **more: Any) -> Any:
    return plane.create(who, ref, VALUE, SecretType.GENERIC, **more)


USES: dict[str, Callable[[ControlPlane, Call], object]] = {
    "create": create,
    "create dry": lambda plane, who: create(plane, who, dry_run=True),
    "update": lambda plane, who: plane.update(who, REF, VALUE),
    "update dry": lambda plane, who: plane.update(who, REF, VALUE, dry_run=True),
    "delete": lambda plane, who: plane.delete(who, REF),
    "delete dry": lambda plane, who: plane.delete(who, REF, dry_run=True),
    "get": lambda plane, who: plane.describe(who, REF),
    "list": lambda plane, who: plane.list(who, SHOP, exact=False, limit=10, cursor=None),
    "explain": lambda plane, who: plane.explain(who, REF),
}


def verb(use: str) -> str:
    return use.partition(" ")[0]


@pytest.mark.parametrize("use", USES)
def test_who_may_not_reaches_no_store(world: World, use: str) -> None:
    with pytest.raises(PermissionDenied, match='"nobody" may not'):
        USES[use](world.plane, call(NOBODY))
    assert world.data.calls == []
    [event] = world.trail.events
    assert (event.actor, event.outcome, event.action) == ("nobody", "permission_denied", verb(use))


@pytest.mark.parametrize("use", ["create", "create dry", "update", "update dry", "delete", "delete dry"])
def test_a_viewer_only_looks(world: World, use: str) -> None:
    with pytest.raises(PermissionDenied):
        USES[use](world.plane, call(VIEWER))
    assert world.data.calls == []
    USES["list"](world.plane, call(VIEWER))


@pytest.mark.parametrize("use", USES)
def test_every_call_ends_in_one_event(world: World, use: str) -> None:
    if not use.startswith("create"):
        create(world.plane, call())
        world.trail.events.clear()
    USES[use](world.plane, call())
    [event] = world.trail.events
    assert (event.surface, event.action, event.outcome) == ("api", verb(use), "ok")
    assert (event.actor, event.request_id) == (ADMIN, "request-1")
    assert event.detail.get("dry_run", False) is use.endswith("dry")
    if use == "list":
        assert event.detail["scope"] == "project-domain shop/production"
    else:
        assert [(each.name, each.scope, each.store) for each in event.secrets] == [("key", SHOP, "vault-1")]
    assert b"value-of-the-test" not in event.to_json()


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("error", [Unavailable("down"), Conflict("moved"), RuntimeError("value-of-the-test")])
def test_every_failure_ends_in_one_event_too(world: World, use: str, error: Exception) -> None:
    world.data.error = error
    with pytest.raises(type(error)):
        USES[use](world.plane, call())
    [event] = world.trail.events
    assert event.outcome == getattr(error, "code", "internal")
    assert b"value-of-the-test" not in event.to_json()


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("who", [ADMIN, NOBODY])
def test_without_an_audit_record_nobody_gets_an_answer(world: World, use: str, who: str) -> None:
    world.trail.broken = True
    with pytest.raises(Unavailable, match="audit"):
        USES[use](world.plane, call(who))


def test_the_event_of_a_write_has_its_version(world: World) -> None:
    created = create(world.plane, call())
    updated = world.plane.update(call(), REF, VALUE)
    versions = [event.secrets[0].version for event in world.trail.events]
    assert versions == [created.version, updated.version]
    world.plane.update(call(), REF, VALUE, dry_run=True)
    assert world.trail.events[-1].secrets[0].version is None


def test_actors_are_written_down(world: World) -> None:
    created = create(world.plane, call())
    assert (created.created_by, created.updated_by) == (ADMIN, ADMIN)


def test_a_dry_run_says_what_would_go_wrong(world: World) -> None:
    assert create(world.plane, call(), dry_run=True) is None
    with pytest.raises(NotFound):
        world.plane.describe(call(), REF)
    for use in ("update dry", "delete dry"):
        with pytest.raises(NotFound):
            USES[use](world.plane, call())
    created = create(world.plane, call())
    with pytest.raises(AlreadyExists):
        create(world.plane, call(), dry_run=True)
    with pytest.raises(Conflict):
        world.plane.update(call(), REF, VALUE, expected="other", dry_run=True)
    with pytest.raises(SecretsError, match="over the limit"):
        world.plane.update(call(), REF, SecretValue(b"x" * 65), dry_run=True)
    world.plane.update(call(), REF, VALUE, expected=created.version, dry_run=True)
    world.plane.delete(call(), REF, dry_run=True)
    assert world.plane.describe(call(), REF) == created


def test_keys_of_two_principals_do_not_meet() -> None:
    assert call("alice", "k").operation_id == call("alice", "k").operation_id
    ids = {call(who, key).operation_id for who in ("alice", "bob", "alic") for key in ("k", "ek", "e\0k")}
    assert len(ids) == 9
    assert call("alice").operation_id != call("alice").operation_id
    assert all(len(each) <= 128 for each in ids)


def test_a_key_is_for_one_intent(world: World) -> None:
    first = create(world.plane, call(key="k"))
    assert create(world.plane, call(key="k")) == first
    with pytest.raises(InvalidArgument):
        create(world.plane, call(key="k"), SecretRef(SHOP, "other"))
    with pytest.raises(InvalidArgument):
        world.plane.update(call(key="k"), REF, VALUE)


def explain(world: World, scope: Scope = SHOP) -> list[tuple[str, str]]:
    explanation = world.plane.explain(call(), SecretRef(scope, "key"))
    winner = explanation.winner
    hits = [step for step in explanation.steps if step.outcome == "hit"]
    assert hits == ([winner] if winner else [])
    return [(str(step.scope), step.outcome) for step in explanation.steps]


def test_explain_tells_hit_shadowed_and_absent_apart(world: World) -> None:
    chain = ["project-domain shop/production", "project shop", "domain production", "organization flyte"]
    assert explain(world) == [(scope, "absent") for scope in chain]
    create(world.plane, call(), SecretRef(WIDE, "key"))
    assert [outcome for _, outcome in explain(world)] == ["absent", "absent", "absent", "hit"]
    create(world.plane, call(), SecretRef(Scope("flyte", project="shop"), "key"))
    assert [outcome for _, outcome in explain(world)] == ["absent", "hit", "absent", "shadowed"]
    create(world.plane, call(), REF)
    assert [outcome for _, outcome in explain(world)] == ["hit", "shadowed", "absent", "shadowed"]
    assert explain(world, WIDE) == [("organization flyte", "hit")]


NARROW = Scope("flyte", "production", "shop")
PROJECT = Scope("flyte", project="shop")


@pytest.mark.parametrize(
    ("there", "outcomes", "seen"),
    [
        ([WIDE], ["absent", "absent", "absent", "hit"], []),
        ([Scope("flyte", "production"), WIDE], ["absent", "absent", "hit", "hidden"], []),
        ([PROJECT, WIDE], ["absent", "hit", "hidden", "hidden"], [PROJECT]),
        ([NARROW, PROJECT, WIDE], ["hit", "shadowed", "hidden", "hidden"], [NARROW, PROJECT]),
        ([NARROW], ["hit", "absent", "hidden", "hidden"], [NARROW]),
        ([], ["absent"] * 4, []),
    ],
)
def test_explain_tells_of_scopes_that_the_caller_may_not_see_only_which_wins(
    world: World, there: list[Scope], outcomes: list[str], seen: list[Scope]
) -> None:
    policy = Policy([Binding(ADMIN, Role.ADMIN, WIDE), Binding(VIEWER, Role.VIEWER, PROJECT)])
    plane = ControlPlane(policy=policy, data_plane=world.data, audit=world.trail)  # type: ignore[arg-type]
    for scope in there:
        create(plane, call(), SecretRef(scope, "key"))
    world.data.calls.clear()
    explanation = plane.explain(call(VIEWER), REF)
    assert [step.outcome for step in explanation.steps] == outcomes
    assert [step.scope for step in explanation.steps if step.metadata is not None] == seen
    assert len(world.data.calls) == 4 - outcomes.count("hidden")
    assert (explanation.winner.scope if explanation.winner else None) == (there[0] if there else None)
    everything = plane.explain(call(), REF)
    assert [step.scope for step in everything.steps if step.metadata is not None] == there


def test_explain_does_not_take_a_failing_store_for_absence(world: World) -> None:
    world.data.error = Unavailable("down")
    with pytest.raises(Unavailable):
        world.plane.explain(call(), REF)


def test_whoami_is_for_everybody_and_recorded(world: World) -> None:
    assert world.plane.whoami(call(NOBODY)) == ()
    assert [(each.principal, each.role) for each in world.plane.whoami(call())] == [(ADMIN, Role.ADMIN)]
    assert [(event.action, event.actor) for event in world.trail.events] == [
        ("whoami", NOBODY),
        ("whoami", ADMIN),
    ]
    assert world.data.calls == []
