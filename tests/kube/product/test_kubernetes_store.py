"""Values kept as Kubernetes Secrets of one namespace: seen fresh on each replica, whoever wrote them."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from installation import DOMAIN, PROJECT, REQUEST, Installation, pod, reference
from kit import Node, Pods, shell
from kit import pod as runnable

from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

SCOPE = ("-p", "shop", "-d", "production")
MERGE = "application/merge-patch+json"
READER = "the-stores-own-user"


class Replicas:
    """Two servers over one store, in turns."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        installation.outlast("flyte")
        installation.cluster.namespace("flyte")
        config = installation.cluster.kubeconfig_for(READER, groups=["system:masters"])
        store = f'[stores.cluster]\nbackend = "kubernetes"\nkubeconfig = "{config}"\n'
        folders = [installation.folder / f"replica-{number}" for number in range(2)]
        self.servers = [
            installation.serve("all", store=store, state=folders[0]),
            installation.serve("injector", store=store, state=folders[1]),
        ]

    def on_each(self, namespace: str, name: str) -> list[bytes]:
        """What a pod gets from each replica."""
        values = []
        for server in self.servers:
            self.installation.lead_to(server)
            body = pod(f"p-{uuid.uuid4().hex[:8]}", [{"name": name, "env": "A"}])
            staged = reference(self.installation.admitted(namespace, body), "A")
            values.append(self.installation.staged(namespace)[staged])
        return values


@pytest.fixture(scope="module")
def replicas(installation: Installation) -> Iterator[Replicas]:
    """Also what the command line leads to meanwhile."""
    before = installation.environment
    installation.environment = {**before, "SECRET_CONFIG": str(installation.folder / "replicas.toml")}
    made = Replicas(installation)
    yield made
    installation.environment = before
    installation.lead_to(installation.server)
    for server in made.servers:
        server.stop()


def named(name: str) -> tuple[str, str]:
    """The object's path and its data key."""
    key = storage_name(SecretRef(Scope("flyte", "production", "shop"), name))
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    return f"/api/v1/namespaces/flyte/secrets/{digest}", key


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def test_create_update_delete_and_create_again(replicas: Replicas, shop: str) -> None:
    installation = replicas.installation
    name = installation.create(b"first")
    assert replicas.on_each(shop, name) == [b"first"] * 2
    installation.secret("update", name, *SCOPE, stdin=b"second")
    assert replicas.on_each(shop, name) == [b"second"] * 2
    installation.secret("delete", name, *SCOPE, "--yes")
    for server in replicas.servers:
        installation.lead_to(server)
        assert "not_found; looked in" in installation.refused(shop, pod("gone", [{"name": name}]))
    installation.secret("create", name, *SCOPE, stdin=b"made again")
    assert replicas.on_each(shop, name) == [b"made again"] * 2


def test_a_stored_secret_that_somebody_edits(replicas: Replicas, shop: str) -> None:
    installation = replicas.installation
    name = installation.create(b"first")
    assert replicas.on_each(shop, name) == [b"first"] * 2
    path, key = named(name)
    installation.api("PATCH", path, {"data": {key: encoded(b"edited")}}, content_type=MERGE).ok()
    assert replicas.on_each(shop, name) == [b"edited"] * 2


def test_what_flytes_own_service_wrote(replicas: Replicas, shop: str) -> None:
    installation = replicas.installation
    name = f"flytes-{uuid.uuid4().hex[:8]}"
    path, key = named(name)
    labels = {
        "app.flyte.org/managed": "true",
        "app.flyte.org/project": "shop",
        "app.flyte.org/domain": "production",
    }
    metadata = {"name": path.rpartition("/")[2], "labels": labels}
    body = {"metadata": metadata, "data": {key: encoded(b"flyte's")}}
    installation.api("POST", path.rpartition("/")[0], body).ok()
    assert replicas.on_each(shop, name) == [b"flyte's"] * 2
    again = installation.api("GET", path).ok() | {"data": {key: encoded(b"flyte's again")}}
    installation.api("PUT", path, again).ok()  # as its UpdateSecret does
    assert replicas.on_each(shop, name) == [b"flyte's again"] * 2
    assert name in installation.secret("list", *SCOPE)


def test_without_a_proof_the_store_is_not_asked(replicas: Replicas) -> None:
    """I3: told by the API server's own audit log."""
    installation = replicas.installation
    name = installation.create(b"x")
    namespace = installation.namespace("mail", "production")
    installation.lead_to(replicas.servers[0])

    def asked() -> int:
        return sum(event["user"].get("username") == READER for event in installation.cluster.audit())

    before = asked()
    body = pod("a", [{"name": name}])
    body["metadata"]["labels"] = {PROJECT: "shop", DOMAIN: "production"}
    assert "permission_denied" in installation.refused(namespace, body)
    assert "permission_denied" in installation.refused("default", body)
    assert asked() == before


@pytest.mark.node
def test_a_container_gets_it(replicas: Replicas, node: Node, shop: str) -> None:
    installation = replicas.installation
    value = bytes(range(1, 128))
    name = installation.create(value)
    installation.lead_to(replicas.servers[1])
    requests: list[dict[str, Any]] = [{"name": name, "env": "TOLD", "file": "told"}]
    script = 'printf %s "$TOLD" | sha256sum; sha256sum < /var/run/secrets/secrets-svc/told'
    body = runnable("a", shell(script), annotations={REQUEST: json.dumps(requests)})
    told = Pods(installation.cluster, shop).output(body).split()
    assert told[0] == told[2] == hashlib.sha256(value).hexdigest()
