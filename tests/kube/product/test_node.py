"""On a real kubelet: what a container gets, what restarts get, and what nobody else sees."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from installation import INJECTOR, REQUEST, Installation
from kit import Node, Pods, pod, shell, until

pytestmark = pytest.mark.node

FILES = "/var/run/secrets/secrets-svc"
DIGESTS = f'printf %s "$TOLD" | sha256sum; sha256sum < {FILES}/told; stat -Lc %a {FILES}/told; id -u'
VALUES = {
    "text": b"correct horse battery staple",
    "dollars": b"a$$b$(HOSTNAME)c${HOME}`id`",
    "lines": b"-----BEGIN KEY-----\r\nline\n\n-----END KEY-----\n",
    "quotes": b'it\'s "quoted" \\n',
    "utf-8": "åäö 漢字 🔑".encode(),
    "one byte": b"x",
    "long": b"y" * 100_000,
}


def digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def asking(
    name: str, requests: list[dict[str, Any]], *containers: dict[str, Any], **spec: Any
) -> dict[str, Any]:
    return pod(name, *containers, annotations={REQUEST: json.dumps(requests)}, **spec)


@pytest.mark.parametrize("kind", VALUES)
def test_a_container_gets_exactly_what_was_given(
    installation: Installation, node: Node, shop: str, kind: str
) -> None:
    value = VALUES[kind]
    name = installation.create(value)
    requests = [{"name": name, "env": "TOLD", "file": "told"}]
    told = Pods(installation.cluster, shop).output(asking("a", requests, shell(DIGESTS))).split()

    assert told[0] == digest(value)
    assert told[2] == digest(value)
    assert told[4] == "444"


def test_a_file_may_hold_any_bytes(installation: Installation, node: Node, shop: str) -> None:
    value = bytes(range(256)) * 3000
    name = installation.create(value)
    file = f"{FILES}/deep/er/file"
    script = f"sha256sum < {file}; stat -Lc %a {file}; touch {FILES}/x 2>/dev/null || echo read-only"
    requests = [{"name": name, "file": "deep/er/file", "mode": "0400"}]
    told = Pods(installation.cluster, shop).output(asking("a", requests, shell(script))).split()
    assert told[0] == digest(value)
    assert told[2] == "400"
    assert told[-1] == "read-only"


def test_another_user_reads_by_its_group(installation: Installation, node: Node, shop: str) -> None:
    name = installation.create(b"x")
    script = f"sha256sum < {FILES}/told; stat -Lc %a {FILES}/told"
    security = {"runAsUser": 65534, "runAsGroup": 65534, "fsGroup": 4242}
    body = asking("a", [{"name": name, "file": "told"}], shell(script), securityContext=security)
    told = Pods(installation.cluster, shop).output(body).split()
    assert (told[0], told[2]) == (digest(b"x"), "440")


def test_init_containers_and_sidecars_get_theirs_before_the_main_one(
    installation: Installation, node: Node, shop: str
) -> None:
    name = installation.create(b"for all")
    script = 'printf %s "$TOLD" | sha256sum'
    inits = [
        shell(f"{script}; trap 'exit 0' TERM; sleep 60 & wait", name="sidecar", restartPolicy="Always"),
        shell(script, name="init"),
    ]
    pods = Pods(installation.cluster, shop)
    pods.output(asking("a", [{"name": name, "env": "TOLD"}], shell(script), initContainers=inits))
    for container in ("main", "init", "sidecar"):
        assert pods.log("a", container).split()[0] == digest(b"for all")


def restarts(pods: Pods, name: str) -> int:
    [status] = pods.get(name)["status"].get("containerStatuses") or [{}]
    return int(status.get("restartCount", 0))


def renew(installation: Installation, lease: dict[str, Any]) -> None:
    """As an admission does that needs what the lease holds."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    meta = lease["metadata"]
    path = f"/apis/coordination.k8s.io/v1/namespaces/{meta['namespace']}/leases/{meta['name']}"
    patch = {"spec": {"renewTime": now}}
    installation.merge(path, patch, as_user=INJECTOR).ok()


def test_restarts_get_what_the_pod_was_admitted_with(
    installation: Installation, node: Node, shop: str, tmp_path: Path
) -> None:
    """After an update, after the lease was renewed, and after the injector is gone."""
    name = installation.create(b"at admission")
    pods = Pods(installation.cluster, shop)
    script = f'printf %s "$TOLD" | sha256sum; sha256sum < {FILES}/told; until [ -e /go ]; do sleep 0.1; done'
    requests = [{"name": name, "env": "TOLD", "file": "told"}]
    server = installation.serve("injector")
    installation.lead_to(server)
    try:
        pods.create(asking("a", requests, shell(script), restartPolicy="Always"))
        pods.running("a")

        def restart() -> None:
            before = restarts(pods, "a")
            installation.cluster.kubectl("exec", "a", "-n", shop, "--", "touch", "/go")
            until(lambda: restarts(pods, "a") > before and pods.log("a"), what="the restart", within=60)
            told = pods.log("a").split()
            assert (told[0], told[2]) == (digest(b"at admission"), digest(b"at admission"))

        installation.secret("update", name, "-p", "shop", "-d", "production", stdin=b"after it")
        restart()
        for lease in installation.leases(shop):
            renew(installation, lease)
        restart()
        other = pods.output(asking("b", requests, shell(DIGESTS))).split()
        assert other[0] == digest(b"after it")
        server.stop()
        restart()
    finally:
        server.stop()
        installation.lead_to(installation.server)


def test_a_value_is_in_the_staged_secret_and_nowhere_else(
    installation: Installation, node: Node, shop: str
) -> None:
    canary = b"CANARY-9f0c1d/+ value?&"
    name = installation.create(canary)
    pods = Pods(installation.cluster, shop)
    pods.output(asking("a", [{"name": name, "env": "TOLD", "file": "told"}], shell(DIGESTS)))
    forms = [canary.decode(), base64.b64encode(canary).decode(), urllib.parse.quote(canary)]

    def clean(where: str, text: str) -> None:
        assert text, f"nothing was looked at: {where}"
        for form in forms:
            assert form not in text, where

    cluster = installation.cluster
    clean("pod", cluster.kubectl("get", "pod", "a", "-n", shop, "-o", "yaml").stdout)
    clean("description", cluster.kubectl("describe", "pod", "a", "-n", shop).stdout)
    clean("events", cluster.kubectl("get", "events", "-n", shop, "-o", "yaml").stdout)
    clean("leases", cluster.kubectl("get", "leases", "-n", shop, "-o", "yaml").stdout)
    clean("audit log", json.dumps(cluster.audit()))
    clean("our audit file", installation.audit_text())
    clean("our log", installation.server.log.read_text())
    for form in forms:
        for file in cluster.layout.etcd_data.rglob("*"):
            if file.is_file():
                assert form.encode() not in file.read_bytes(), file
