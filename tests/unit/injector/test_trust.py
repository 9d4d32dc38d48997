"""Proof of scope by namespace map, and how proofs stand beside one another."""

from __future__ import annotations

import pytest

from injector.proofs import NamespaceMap
from injector.requests import Claim
from injector.trust import prove_scope
from secrets_svc.core.errors import PermissionDenied
from secrets_svc.core.scope import Scope

MAP = NamespaceMap(
    "flyte",
    {
        "shop-production": Claim("shop", "production"),
        "shared": Claim(None, "production"),
        "all": Claim(),
    },
)


def prove(claim: Claim, namespace: str) -> Scope:
    return prove_scope([MAP], claim, namespace=namespace, username="alice", labels={})


@pytest.mark.parametrize(
    "claim", [Claim(), Claim("shop"), Claim(None, "production"), Claim("shop", "production")]
)
def test_a_claim_that_agrees_gets_the_namespaces_scope(claim: Claim) -> None:
    assert prove(claim, "shop-production") == Scope("flyte", "production", "shop")


@pytest.mark.parametrize(
    ("claim", "namespace"),
    [
        (Claim("bank"), "shop-production"),
        (Claim("shop", "development"), "shop-production"),
        (Claim("shop"), "shared"),
        (Claim(None, "development"), "shared"),
        (Claim("shop"), "all"),
        (Claim(), "default"),
        (Claim("shop", "production"), "default"),
        (Claim("shop", "production"), "shop-production-2"),
    ],
)
def test_any_other_claim_is_refused(claim: Claim, namespace: str) -> None:
    with pytest.raises(PermissionDenied, match="namespace"):
        prove(claim, namespace)


def test_a_namespace_of_a_wide_scope_gives_no_narrow_one() -> None:
    assert prove(Claim(), "shared") == Scope("flyte", "production")
    assert prove(Claim(), "all") == Scope("flyte")


def test_without_proofs_nobody_is_believed() -> None:
    with pytest.raises(PermissionDenied, match="no proof of scope is configured"):
        prove_scope([], Claim("shop", "production"), namespace="shop-production", username="alice", labels={})


def test_proofs_do_not_widen_one_another() -> None:
    other = NamespaceMap("flyte", {"shop-production": Claim("shop")})
    claim = Claim("shop", "development")
    with pytest.raises(PermissionDenied) as caught:
        prove_scope([MAP, other], claim, namespace="shop-production", username="alice", labels={})
    assert caught.value.message.count("namespace map: ") == 2
