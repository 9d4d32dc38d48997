"""Presets of engines: which proofs they switch on, and that those of the operator's own come first."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from injector.compose import _dialects, _flyte_proofs, _pulls
from injector.dialects import ours
from injector.requests import Claim
from secrets_svc.core.errors import InvalidArgument, PermissionDenied
from secrets_svc.core.scope import Scope
from secrets_svc.runtime.settings import Settings

LABELS = {"project": "shop", "domain": "production"}
CLAIM = Claim("shop", "production")
SHOP = Scope("flyte", "production", "shop")


def settings(**flyte: Any) -> Settings:
    return Settings.model_validate({"injector": {"flyte": flyte}})


@pytest.mark.parametrize("preset", ["flyte1", "union"])
def test_a_namespace_for_each_project_and_domain(preset: str) -> None:
    [proof] = _flyte_proofs(settings(preset=preset))
    propeller = "system:serviceaccount:flyte:flytepropeller"
    assert proof.prove(CLAIM, namespace="shop-production", username=propeller, labels=LABELS) == SHOP
    for namespace, claim in [("bank-production", CLAIM), ("shop-production", Claim("shop", None))]:
        with pytest.raises(PermissionDenied):
            proof.prove(claim, namespace=namespace, username=propeller, labels=LABELS)
    with pytest.raises(PermissionDenied, match="not one of the configured ones"):
        proof.prove(Claim("shop", "qa"), namespace="shop-qa", username=propeller, labels=LABELS)


def test_domains_are_the_operators_to_say() -> None:
    [proof] = _flyte_proofs(settings(preset="union", domains=["qa"]))
    assert proof.prove(Claim("shop", "qa"), namespace="shop-qa", username="x", labels={}).domain == "qa"


def test_flyte_2_is_believed_by_its_account_in_its_namespace() -> None:
    [proof] = _flyte_proofs(settings(preset="flyte2", namespace="sys", release="fly", task_namespaces=["t"]))
    account = "system:serviceaccount:sys:fly-flyte-binary"
    assert proof.prove(CLAIM, namespace="t", username=account, labels=LABELS) == SHOP
    for namespace, username, labels in [
        ("sys", account, LABELS),
        ("t", "system:serviceaccount:sys:default", LABELS),
        ("t", account, {"project": "shop"}),
        ("t", account, {**LABELS, "project": "bank"}),
    ]:
        with pytest.raises(PermissionDenied):
            proof.prove(CLAIM, namespace=namespace, username=username, labels=labels)


@pytest.mark.parametrize(
    ("flyte", "wrong"),
    [
        ({"preset": "flyte2"}, "must name task_namespaces"),
        ({"preset": "flyte2", "task_namespaces": ["flyte"]}, "shared_namespace"),
        ({"preset": "flyte2", "namespace": "a", "task_namespaces": ["b", "a"]}, "shared_namespace"),
    ],
)
def test_flyte_2_and_its_tasks_share_a_namespace_only_by_intent(flyte: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        settings(**flyte)
    assert _flyte_proofs(settings(**{"task_namespaces": ["flyte"], **flyte, "shared_namespace": True}))


def test_without_a_preset_only_other_proofs_hold() -> None:
    assert not _flyte_proofs(settings())
    assert not _flyte_proofs(Settings())


@pytest.mark.parametrize(
    ("flyte", "cluster"),
    [
        ({"preset": "flyte1"}, {"namespace_template": "x-{project}-{domain}", "domains": ["production"]}),
        (
            {"preset": "flyte2", "task_namespaces": ["tasks"]},
            {
                "creators": [
                    {
                        "username": "system:serviceaccount:flyte:flyte-flyte-binary",
                        "namespaces": ["elsewhere"],
                        "project_label": "project",
                    }
                ]
            },
        ),
    ],
)
def test_what_is_configured_for_the_cluster_is_not_widened(
    flyte: dict[str, Any], cluster: dict[str, Any]
) -> None:
    both = {"flyte": flyte, "cluster": {"installation_key": "/key", **cluster}}
    assert not _flyte_proofs(Settings.model_validate({"injector": both}))


def test_the_dialect_is_there_where_the_table_is() -> None:
    assert _dialects(None) == [ours]
    assert len(_dialects(settings().injector.flyte)) == 2


def test_names_of_pull_secrets_are_checked_at_the_start() -> None:
    [pull] = _pulls(["registry", "registry"])
    assert (pull.name, pull.optional, pull.attach) == ("registry", True, True)
    with pytest.raises(InvalidArgument, match=r"injector\.image_pull_secrets: "):
        _pulls(["not a name"])
