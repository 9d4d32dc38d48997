"""Which scope the process of ``secret run`` is in, and what a server leaves behind for that."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.context import Context
from cli.namespaces import FILE, known_namespaces, remember_namespaces
from cli.scopes import ScopeOptions
from cli.task_scopes import PodPlace, scope_of_task
from injector.requests import Claim
from secrets_svc.core.errors import InvalidArgument, PermissionDenied
from secrets_svc.core.scope import Scope

LABEL = st.from_regex(r"\A[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
NOTHING = ScopeOptions()
PRODUCTION = Claim("shop", "production")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Of a server whose map has two namespaces; its user has defaults."""
    remember_namespaces(tmp_path, {"shop-production": PRODUCTION, "bank": Claim("bank")})
    return Context(state=str(tmp_path), organization="acme", project="mine", domain="dev")


@pytest.mark.parametrize(
    ("given_", "pod", "expected"),
    [
        (NOTHING, None, Scope("acme", "dev", "mine")),
        (NOTHING, PodPlace(Claim(), "shop-production"), Scope("acme", "production", "shop")),
        (NOTHING, PodPlace(PRODUCTION, "shop-production"), Scope("acme", "production", "shop")),
        (NOTHING, PodPlace(Claim(), "bank"), Scope("acme", None, "bank")),
        (NOTHING, PodPlace(Claim("cart", "staging"), None), Scope("acme", "staging", "cart")),
        (NOTHING, PodPlace(Claim("cart"), None), Scope("acme", None, "cart")),
        (NOTHING, PodPlace(Claim(), None), Scope("acme", "dev", "mine")),
        (ScopeOptions(project="a", domain="b"), PodPlace(PRODUCTION, "nowhere"), Scope("acme", "b", "a")),
        (ScopeOptions(org_wide=True), PodPlace(PRODUCTION, "shop-production"), Scope("acme")),
        (ScopeOptions(organization="other"), PodPlace(Claim(), "bank"), Scope("acme", None, "bank")),
    ],
)
def test_what_is_typed_then_the_namespace_then_the_labels_then_the_rest(
    context: Context, given_: ScopeOptions, pod: PodPlace | None, expected: Scope
) -> None:
    assert scope_of_task(given_, context, pod) == expected


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (PodPlace(PRODUCTION, "nowhere"), 'namespace "nowhere" is not in the namespace map'),
        (PodPlace(Claim("cart", "production"), "shop-production"), 'the pod claims project "cart"'),
        (PodPlace(Claim("bank", "dev"), "bank"), "stands for no one domain"),
    ],
)
def test_what_the_webhook_would_refuse_is_refused_with_the_way_round(
    context: Context, pod: PodPlace, reason: str
) -> None:
    with pytest.raises(PermissionDenied) as caught:
        scope_of_task(NOTHING, context, pod)
    assert reason in caught.value.message
    assert caught.value.message.endswith("choose the scope yourself with --project PROJECT --domain DOMAIN")


def test_without_a_map_labels_count_and_no_scope_is_told_with_the_options_to_add(tmp_path: Path) -> None:
    bare = Context(state=str(tmp_path), organization="acme")
    assert scope_of_task(NOTHING, bare, PodPlace(PRODUCTION, "any")) == Scope("acme", "production", "shop")
    with pytest.raises(InvalidArgument, match="add --namespace NAMESPACE, or --project PROJECT"):
        scope_of_task(NOTHING, bare, PodPlace(Claim(), None))
    with pytest.raises(InvalidArgument, match="stands for; add --project PROJECT --domain DOMAIN"):
        scope_of_task(NOTHING, bare, PodPlace(Claim(), "any"))


def test_a_server_without_a_map_of_its_own_leaves_an_empty_one(tmp_path: Path) -> None:
    remember_namespaces(tmp_path, {})
    bare = Context(state=str(tmp_path), organization="acme")
    assert scope_of_task(NOTHING, bare, PodPlace(PRODUCTION, "any")) == Scope("acme", "production", "shop")


def test_an_illegal_or_unknown_organization_is_refused(context: Context) -> None:
    with pytest.raises(InvalidArgument, match="organization"):
        scope_of_task(ScopeOptions("No Such", "a"), context, None)
    with pytest.raises(InvalidArgument, match="which organization"):
        scope_of_task(ScopeOptions(project="a"), Context(), None)


@given(st.dictionaries(LABEL, st.builds(Claim, LABEL, st.none() | LABEL), max_size=5))
def test_what_a_server_leaves_is_what_is_found(
    tmp_path_factory: pytest.TempPathFactory, namespaces: dict[str, Claim]
) -> None:
    state = tmp_path_factory.mktemp("state")
    remember_namespaces(state, namespaces)
    assert known_namespaces(state) == namespaces
    assert stat.S_IMODE((state / FILE).stat().st_mode) == 0o600


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    remember_namespaces(tmp_path, {"bank": Claim("bank")})
    before = (tmp_path / FILE).stat().st_ino
    remember_namespaces(tmp_path, {"bank": Claim("bank")})
    assert (tmp_path / FILE).stat().st_ino == before
    remember_namespaces(tmp_path, {})
    assert known_namespaces(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"[1]",
        b'{"a": 1}',
        b'{"a": {"project": "Not A Label"}}',
        b'{"a": {"colour": "red"}}',
        b"\xff",
    ],
)
def test_what_no_server_wrote_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(InvalidArgument, match="the next start of one writes it anew"):
        known_namespaces(tmp_path)
