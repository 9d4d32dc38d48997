"""``secret check``: what people read of the webhook's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from admissions import NAMESPACE, REQUEST, STATUS
from harness import Server


def pod_named(name: str, secret: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    asks = {REQUEST: json.dumps([{"name": secret}])}
    metadata = {"name": name, "namespace": namespace, "annotations": asks}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "main"}]},
    }


def written(folder: Path, *pods: dict[str, Any]) -> str:
    path = folder / "pods.yaml"
    path.write_text(yaml.safe_dump_all(pods))
    return str(path)


def test_a_refusal_says_its_code_once(server: Server, tmp_path: Path) -> None:
    done = server.cli("check", written(tmp_path, pod_named("report", "check-absent")))
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.decode() == (
        'secret: not_found: Pod report: secret "check-absent" (env CHECK_ABSENT): looked in project-domain '
        "shop/production, project shop, domain production, organization flyte; store local; retryable=false\n"
    )
    elsewhere = server.cli("check", written(tmp_path, pod_named("report", "check-absent", "elsewhere")))
    assert elsewhere.returncode == 5
    assert elsewhere.stderr.startswith(b"secret: permission_denied: Pod report: ")
    assert elsewhere.stderr.count(b"permission_denied") == 1


def test_every_refusal_is_told(server: Server, tmp_path: Path) -> None:
    assert server.create("check-there", "x", project="shop").status == 201
    pods = [
        pod_named("first", "check-absent"),
        pod_named("second", "check-there"),
        pod_named("third", "check-there", "elsewhere"),
    ]
    done = server.cli("check", written(tmp_path, *pods))
    assert done.returncode == 3
    assert done.stdout.startswith(b"Pod second: allowed\n")
    further, first = done.stderr.decode().splitlines()
    assert further.startswith("note: permission_denied: Pod third: ")
    assert first.startswith("secret: not_found: Pod first: ")


def test_several_pods_are_one_document(server: Server, tmp_path: Path) -> None:
    assert server.create("check-list", "x", project="shop").status == 201
    pods = [pod_named("first", "check-list"), pod_named("second", "check-list")]
    for form, parse in (("yaml", yaml.safe_load), ("json", json.loads)):
        found = parse(server.cli("check", written(tmp_path, *pods), "-o", form).stdout)
        assert found["kind"] == "List"
        assert [item["metadata"]["name"] for item in found["items"]] == ["first", "second"]
        assert all(STATUS in item["metadata"]["annotations"] for item in found["items"])
        (tmp_path / "patched").write_text(json.dumps(found))
        again = server.cli("check", str(tmp_path / "patched"), "-o", "name")
        assert again.stdout == b"Pod first: allowed\nPod second: allowed\n"
    one = yaml.safe_load(server.cli("check", written(tmp_path, pods[0]), "-o", "yaml").stdout)
    assert one["kind"] == "Pod"
