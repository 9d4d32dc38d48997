"""Which scope a command line means."""

from __future__ import annotations

import pytest

from cli.context import Context
from cli.scopes import ScopeOptions, choose_filter, choose_scope
from cli.session import Session
from secrets_svc.client.http import ControlPlaneClient
from secrets_svc.client.scopes import ScopeParts
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.value import SecretValue

CONTEXT = Context(organization="acme", project="shop", domain="production")
ENVIRON = {"SECRET_PROJECT": "cart", "SECRET_DOMAIN": "staging"}


@pytest.mark.parametrize(
    ("options", "environ", "context", "expected"),
    [
        (ScopeOptions(project="a", domain="b"), {}, Context(), ScopeParts(None, "b", "a")),
        (ScopeOptions(project="a"), {}, Context(), ScopeParts(None, None, "a")),
        (ScopeOptions(domain="b"), {}, Context(), ScopeParts(None, "b", None)),
        (ScopeOptions(), {}, CONTEXT, ScopeParts("acme", "production", "shop")),
        (ScopeOptions(), ENVIRON, CONTEXT, ScopeParts("acme", "staging", "cart")),
        (ScopeOptions(project="a"), ENVIRON, CONTEXT, ScopeParts("acme", "staging", "a")),
        (ScopeOptions(organization="other"), {}, CONTEXT, ScopeParts("other", "production", "shop")),
        (ScopeOptions(project=""), ENVIRON, CONTEXT, ScopeParts("acme", "staging", None)),
        (ScopeOptions(), {"SECRET_DOMAIN": ""}, CONTEXT, ScopeParts("acme", None, "shop")),
        (ScopeOptions(org_wide=True), ENVIRON, CONTEXT, ScopeParts("acme")),
        (ScopeOptions(org_wide=True, organization="o"), ENVIRON, CONTEXT, ScopeParts("o")),
        (ScopeOptions(org_wide=True, project="", domain=""), ENVIRON, CONTEXT, ScopeParts("acme")),
        (ScopeOptions(org_wide=True), {}, Context(), ScopeParts(None)),
    ],
)
def test_options_before_environment_before_context(
    options: ScopeOptions, environ: dict[str, str], context: Context, expected: ScopeParts
) -> None:
    assert choose_scope(options, environ=environ, context=context, usage="secret get a") == expected


@pytest.mark.parametrize(
    "options", [ScopeOptions(), ScopeOptions(organization="acme"), ScopeOptions(project="")]
)
def test_the_organization_is_never_chosen_by_leaving_something_out(options: ScopeOptions) -> None:
    with pytest.raises(
        InvalidArgument, match='type "secret get a --project PROJECT --domain DOMAIN"'
    ) as caught:
        choose_scope(options, environ={}, context=Context(organization="acme"), usage="secret get a")
    assert "--org-wide" in str(caught.value)


@pytest.mark.parametrize("options", [ScopeOptions(project="a"), ScopeOptions(domain="b")])
def test_org_wide_and_a_part_contradict_each_other(options: ScopeOptions) -> None:
    with pytest.raises(InvalidArgument, match="--org-wide"):
        choose_scope(options._replace(org_wide=True), environ={}, context=Context(), usage="secret get a")


def test_a_filter_may_be_empty() -> None:
    assert choose_filter(ScopeOptions(), environ={}, context=Context()) == ScopeParts()


@pytest.mark.parametrize(
    "parts",
    [
        ScopeParts(None, "production", "shop"),
        ScopeParts("acme", None, "shop"),
        ScopeParts(None, "production", None),
        ScopeParts("acme"),  # a session without any part learns this one from the server
    ],
)
def test_a_place_is_said_as_a_scope_is(parts: ScopeParts) -> None:
    client = ControlPlaneClient("http://127.0.0.1:9", SecretValue(b"token"))
    scope = Scope(parts.organization or "any", parts.domain, parts.project)
    assert Session(client, CONTEXT, parts).place == str(scope)
