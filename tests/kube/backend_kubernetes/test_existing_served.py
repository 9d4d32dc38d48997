"""Existing Secrets of a cluster through the whole service, with an account that may do what is printed."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from existing_served import ExistingServed, World
from harness import Server
from kit import Cluster, until

from secrets_svc.backends.kubernetes import BACKEND


def account(cluster: Cluster, namespace: str, role: str) -> Path:
    """The kubeconfig of a service account with the rights of that role."""
    settings = BACKEND.settings_model(namespace=namespace, existing="teams.{project}.{domain}.{name}")
    name = f"{role}-{secrets.token_hex(4)}"
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    cluster.api("POST", accounts, {"metadata": {"name": name}}).ok()
    rules, binding = yaml.safe_load_all(BACKEND.policy(settings, role=role))  # type: ignore[attr-defined]
    for each in (rules, binding):
        each["metadata"]["name"] = name
    binding["roleRef"]["name"] = name
    binding["subjects"] = [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([rules, binding]))
    user = f"system:serviceaccount:{namespace}:{name}"
    look = f"/api/v1/namespaces/{namespace}/secrets/none"
    until(lambda: cluster.api("GET", look, as_user=user).status == 404, what="the rights to be heard of")
    return cluster.kubeconfig_with(cluster.token(namespace, name))


class TestKubernetes(ExistingServed):
    @pytest.fixture
    def world(self, cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[World]:
        collection = f"/api/v1/namespaces/{namespace}/secrets"

        def put(path: str, document: dict[str, str]) -> None:
            data = {key: base64.b64encode(value.encode()).decode() for key, value in document.items()}
            body = {"metadata": {"name": path}, "data": data}
            if cluster.api("PUT", f"{collection}/{path}", body).status == 404:
                cluster.api("POST", collection, body).ok()

        made = World(
            f'backend = "kubernetes"\nnamespace = "{namespace}"\n'
            f'writer_kubeconfig = "{account(cluster, namespace, "writer")}"\n'
            f'reader_kubeconfig = "{account(cluster, namespace, "reader")}"\n',
            put,
            between=".",
            lacking='it has no data key "password"',
        )
        yield made.launched(Server(tmp_path / "server", settings=made.settings()))
        made.server.stop()
