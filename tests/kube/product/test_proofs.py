"""Proofs by the namespace's name and by creator, in a real cluster; and settings that stop the start."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installation import DOMAIN, PROJECT, Installation, Server, pod, reference
from kit import until

UNLABELLED = ("secrets-svc-guard-3-secrets", "unlabelled")
#: As an engine sets them on its pods.
STAMPED = {"project": "shop", "domain": "production"}
LABELS = {PROJECT: "shop", DOMAIN: "production"}


@pytest.fixture(scope="module")
def engine(installation: Installation) -> str:
    """A workflow engine's account, in a namespace that stands for nothing."""
    return installation.tenant(installation.namespace())


@pytest.fixture(scope="module")
def templated(installation: Installation, engine: str) -> Iterator[Server]:
    """A server that goes by names of namespaces and by that engine's word; guard 3 lets it."""
    namespaces = f"^({engine.split(':')[2]}|[a-z0-9-]+-(production|staging))$"
    installation.set_guard(*UNLABELLED, json.dumps(namespaces))
    server = installation.serve(
        "injector",
        namespace_labels=False,
        namespace_template="{project}-{domain}",
        domains=["production", "staging"],
        creators=[
            {
                "username": engine,
                "namespaces": [engine.split(":")[2]],
                "project_label": "project",
                "domain_label": "domain",
            }
        ],
    )
    installation.lead_to(server)
    yield server
    installation.lead_to(installation.server)
    server.stop()
    installation.set_guard(*UNLABELLED, '"^$"')


def claiming(name: str, **labels: str) -> dict[str, Any]:
    body = pod(f"p-{uuid.uuid4().hex[:8]}", [{"name": name, "env": "A"}])
    body["metadata"]["labels"] = labels
    return body


def test_a_namespaces_name_proves_the_claim_that_renders_it(
    installation: Installation, templated: Server
) -> None:
    name = installation.create(b"x")
    namespace = installation.namespace(name="shop-production")

    def gets_it() -> bool:  # as soon as the API server follows the changed guard
        answer = installation.submit(namespace, claiming(name, **LABELS))
        return answer.status == 201 and reference(answer.body, "A") in installation.staged(namespace)

    until(gets_it, what="the pod to be admitted")


@pytest.mark.parametrize(
    "labels", [{}, {PROJECT: "shop"}, {**LABELS, PROJECT: "mail"}, {**LABELS, DOMAIN: "x"}]
)
def test_any_other_claim_is_refused(
    installation: Installation, templated: Server, labels: dict[str, str]
) -> None:
    name = installation.create(b"x")
    namespace = installation.namespace()
    message = installation.refused(namespace, claiming(name, **labels))
    assert "permission_denied" in message
    assert "namespace template:" in message
    assert "creator:" in message
    assert installation.leases(namespace) == []


def test_labels_of_a_namespace_prove_nothing_where_that_is_switched_off(
    installation: Installation, templated: Server, shop: str
) -> None:
    name = installation.create(b"x")
    message = installation.refused(shop, claiming(name, **LABELS))
    assert "permission_denied" in message
    assert "namespace labels" not in message


def test_an_engines_word_is_taken_and_nobody_elses(
    installation: Installation, templated: Server, engine: str
) -> None:
    name = installation.create(b"x")
    namespace = engine.split(":")[2]

    def gets_it() -> bool:
        return bool(installation.submit(namespace, claiming(name, **STAMPED), as_user=engine).status == 201)

    until(gets_it, what="the engine's pod to be admitted")
    other = installation.tenant(namespace)
    message = installation.refused(namespace, claiming(name, **LABELS, **STAMPED), as_user=other)
    assert "is not one of the configured creators" in message


def test_what_its_users_wrote_into_the_pod_is_not_the_engines_word(
    installation: Installation, templated: Server, engine: str
) -> None:
    name = installation.create(b"x")
    namespace = engine.split(":")[2]
    for labels in (LABELS, {**LABELS, **STAMPED, "project": "mail"}, {**STAMPED, PROJECT: "mail"}):
        message = installation.refused(namespace, claiming(name, **labels), as_user=engine)
        assert "permission_denied" in message


def test_and_elsewhere_it_counts_for_nothing(
    installation: Installation, templated: Server, engine: str
) -> None:
    """Nor does it help to speak to the webhook in the engine's name, past the API server."""
    name = installation.create(b"x")
    namespace = installation.namespace("mail", "production")
    tenant = installation.tenant(namespace)
    body = claiming(name, **STAMPED)
    request = {
        "uid": "u",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": engine},
        "object": body,
    }
    answer = templated.review(request)
    assert answer["allowed"] is False
    assert "is no creator for namespace" in answer["status"]["message"]
    assert (
        installation.api("GET", f"/api/v1/namespaces/{namespace}/secrets", as_user=tenant).ok()["items"] == []
    )
    assert installation.leases(namespace) == []


STOPS = {
    "no cluster": ("", "injector.cluster: there is no such table"),
    "an ambiguous template": (
        'namespace_template = "{project}-{domain}"\ndomains = ["c", "b-c"]',
        "namespace template is ambiguous",
    ),
    "a template without domains": ('namespace_template = "{project}-{domain}"', "needs the list of domains"),
    "a controller as creator": (
        'creators = [{username = "system:serviceaccount:kube-system:job-controller", namespaces = ["a"], '
        'project_label = "project"}]',
        "their labels prove nothing",
    ),
    "a creator of no namespace": (
        'creators = [{username = "system:serviceaccount:flyte:engine", namespaces = [], '
        'project_label = "project"}]',
        "injector.cluster.creators",
    ),
    "a creator that says nothing": (
        'creators = [{username = "system:serviceaccount:flyte:engine", namespaces = ["a"]}]',
        "project_label",
    ),
    "a misspelt field": ("namespace_lables = true", "injector.cluster.namespace_lables"),
    "a short lease": ("lease_duration = 60", "injector.cluster.lease_duration"),
}


@pytest.mark.parametrize("what", STOPS)
def test_settings_that_make_no_sense_stop_the_start(
    installation: Installation, tmp_path: Path, what: str
) -> None:
    lines, message = STOPS[what]
    config = installation.injectors_kubeconfig()
    table = (
        f'[injector.cluster]\ninstallation_key = "{installation.key}"\nkubeconfig = "{config}"\n'
        if lines
        else ""
    )
    done = refused_start(installation, tmp_path, table + lines)
    assert message in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("size", "mode", "message"), [(16, 0o600, "fewer than 32 bytes"), (32, 0o644, "is open to others")]
)
def test_a_key_that_is_short_or_open_stops_the_start(
    installation: Installation, tmp_path: Path, size: int, mode: int, message: str
) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"k" * size)
    key.chmod(mode)
    config = installation.injectors_kubeconfig()
    table = f'[injector.cluster]\ninstallation_key = "{key}"\nkubeconfig = "{config}"\n'
    done = refused_start(installation, tmp_path, table)
    assert "injector.cluster.installation_key" in done.stderr
    assert message in done.stderr


def test_a_kubeconfig_that_is_not_there_stops_the_start(installation: Installation, tmp_path: Path) -> None:
    table = f'[injector.cluster]\ninstallation_key = "{installation.key}"\nkubeconfig = "{tmp_path}/none"\n'
    done = refused_start(installation, tmp_path, table)
    assert "no way to the API server" in done.stderr
    assert done.returncode == 2


def refused_start(installation: Installation, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    settings = folder / "settings.toml"
    settings.write_text('[injector]\nlisten = "127.0.0.1:0"\n' + text)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "cli.main",
            "serve",
            "injector",
            "--settings",
            settings,
            "--state",
            installation.state,
        ],
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
