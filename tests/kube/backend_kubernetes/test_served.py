"""The whole service on such a store: API, webhook, command line."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from clocks import OFF, assert_nothing_is_done_twice, clock
from harness import Server
from kubernetes_store import SCOPE, Store, some_ref

from secrets_svc.core.naming import storage_name
from secrets_svc.core.secret import SecretRef


def settings_for(store: Store, more: str = "") -> str:
    return (
        '[stores.cluster]\nbackend = "kubernetes"\n'
        f'namespace = "{store.namespace}"\nkubeconfig = "{store.kubeconfig}"\n{more}'
        '[logging]\nlevel = "debug"\n'
    )


@pytest.fixture
def server(store: Store, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "server", settings=settings_for(store))
    made.start()
    yield made
    made.stop()


def pod_that_asks_for(name: str) -> dict[str, Any]:
    """In the namespace that stands for shop in production."""
    asks = {"secrets-svc.internal/request": json.dumps([{"name": name}])}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "report", "namespace": "shop-production", "annotations": asks},
        "spec": {"containers": [{"name": "main", "image": "registry.example/report:1"}]},
    }


def test_from_the_command_line_to_a_pod(store: Store, server: Server, tmp_path: Path) -> None:
    """Created, listed, asked for, edited by somebody else, asked for again, deleted; no value in any log."""
    ref, marker = some_ref(), secrets.token_hex(12)
    reply = server.create(ref.name, marker, project="shop", domain="production")
    assert reply.status == 201, reply.body
    scope = ("-p", "shop", "-d", "production")
    listed = json.loads(server.cli("list", *scope, "-o", "json").stdout)
    assert ref.name in {item["name"] for item in listed}
    pod = tmp_path / "pod.json"
    pod.write_text(json.dumps(pod_that_asks_for(ref.name)))
    assert server.cli("check", str(pod)).stdout.startswith(b"Pod report: allowed\n")
    edited = base64.b64encode(b"no \x00 in a variable").decode()
    store.patch(ref, {"data": {storage_name(ref): edited}})
    refused = server.cli("check", str(pod))
    assert (refused.returncode, b"it holds a NUL byte" in refused.stderr) == (2, True), refused.stderr
    assert server.cli("delete", ref.name, *scope, "--yes").returncode == 0
    assert server.cli("get", ref.name, *scope).returncode == 3
    assert server.call("GET", "/readyz", token=None).status == 200
    assert marker not in server.log + server.audit_file.read_text()
    assert base64.b64encode(marker.encode()).decode() not in server.log


def test_a_stranger_is_told_of(store: Store, server: Server, tmp_path: Path) -> None:
    """Who would create is told whose place it is; for all others there is nothing, also for pods."""
    ref, scope = SecretRef(SCOPE, "taken"), ("-p", "shop", "-d", "production")
    made = store.put(ref, {"password": b"somebody's"})
    reply = server.create("taken", "x", project="shop", domain="production")
    assert (reply.status, reply.json()["code"]) == (409, "conflict")
    assert made["metadata"]["name"] in reply.json()["detail"]
    assert server.cli("get", "taken", *scope).returncode == 3
    assert "taken" not in server.cli("list", *scope, "-o", "name").stdout.decode().split()
    pod = tmp_path / "pod.json"
    pod.write_text(json.dumps(pod_that_asks_for("taken")))
    refused = server.cli("check", str(pod))
    assert (refused.returncode, b"not_found" in refused.stderr) == (3, True), refused.stderr
    wider = server.create("taken", "of the project", project="shop")
    assert wider.status == 201, wider.body
    assert server.cli("check", str(pod)).stdout.startswith(b"Pod report: allowed\n")
    assert store.object(ref) == made


def test_one_version_unless_the_settings_say_more(store: Store, server: Server) -> None:
    """The history is the current version; going back is refused, and what it would have taken is named."""
    ref, scope = some_ref(), ("-p", "shop", "-d", "production")
    assert server.create(ref.name, "first", project="shop", domain="production").status == 201
    first = store.writer().describe(ref).version
    assert server.cli("update", ref.name, *scope, stdin=b"second").returncode == 0
    assert len(store.object(ref)["data"]) == 1
    history = json.loads(server.cli("history", ref.name, *scope, "-o", "json").stdout)
    items = history["items"] if isinstance(history, dict) else history
    assert [item["current"] for item in items] == [True]
    refused = server.cli("rollback", ref.name, *scope, "--to", first)
    assert (refused.returncode, b'"versions" of 2 or more' in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize("kept", [1, 2])
def test_replicas_whose_clocks_are_far_apart_do_nothing_twice(
    store: Store, tmp_path: Path, kept: int
) -> None:
    """Operations are remembered for a time: by twenty minutes more or less, none is forgotten."""
    settings = settings_for(store, f"versions = {kept}\n")
    scope = ("-p", "shop", "-d", "production")
    with ExitStack() as running:
        replicas = []
        for name, off in {"fast": OFF, "slow": -OFF}.items():
            replica = Server(tmp_path / name, settings=settings, environ=clock(off))
            running.callback(replica.kill9)
            replicas.append(replica.start())
        assert_nothing_is_done_twice(*replicas, kept=kept)
        fast, slow = replicas
        assert slow.cli("delete", "db", *scope, "--yes").returncode == 0
        assert fast.cli("get", "db", *scope).returncode == 3
        assert (fast.stop(), slow.stop()) == (0, 0)
