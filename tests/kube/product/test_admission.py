"""Pods through the real API server: what is staged, what is stored, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from installation import STATUS, Installation, pod, reference
from kit import until


def both(name: str) -> list[dict[str, Any]]:
    return [{"name": name, "env": "DB_PASSWORD", "file": "db/password"}]


def test_a_pod_gets_references_and_its_namespace_the_value(installation: Installation, shop: str) -> None:
    name = installation.create(b"the value of it")
    stored = installation.admitted(shop, pod("a", both(name)))
    secret = reference(stored, "DB_PASSWORD")
    assert installation.staged(shop) == {secret: b"the value of it"}
    [volume] = [each for each in stored["spec"]["volumes"] if each["name"].startswith("secrets-svc-")]
    assert volume["projected"]["sources"][0]["secret"]["name"] == secret
    assert "the value of it" not in json.dumps(stored)
    [status] = json.loads(stored["metadata"]["annotations"][STATUS])
    assert (status["name"], status["scope"], status["env"]) == (
        name,
        "project-domain shop/production",
        "DB_PASSWORD",
    )


def test_a_staged_secret_is_immutable_and_goes_with_its_lease(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    installation.admitted(shop, pod("a", both(name)))
    [lease] = installation.leases(shop)
    [secret] = installation.api("GET", f"/api/v1/namespaces/{shop}/secrets").ok()["items"]
    assert secret["immutable"] is True
    assert secret["metadata"]["ownerReferences"][0]["uid"] == lease["metadata"]["uid"]
    assert lease["metadata"]["annotations"]["secrets-svc.internal/secret"].startswith(name)
    assert "data" not in lease
    path = f"/apis/coordination.k8s.io/v1/namespaces/{shop}/leases/{lease['metadata']['name']}"
    installation.api("DELETE", path).ok()
    until(lambda: not installation.staged(shop), what="the staged Secret to go with its lease")
    again = installation.admitted(shop, pod("b", both(name)))  # nobody waits for a Secret that is gone
    assert reference(again, "DB_PASSWORD") in installation.staged(shop)


def test_a_warm_admission_asks_the_api_server_nothing(installation: Installation, shop: str) -> None:
    names = [installation.create(b"x") for _ in range(5)]
    requests = [{"name": name} for name in names]
    installation.admitted(shop, pod("cold", requests))
    before = installation.calls_of_injector()
    for number in range(10):
        installation.admitted(shop, pod(f"warm-{number}", requests))
    assert installation.calls_of_injector() == before
    assert before.count("create secrets") >= 5


def test_a_dry_run_writes_nothing(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    stored = installation.submit(shop, pod("a", both(name)), query="?dryRun=All").ok()
    assert reference(stored, "DB_PASSWORD").startswith("ss-dry-run-")
    assert installation.staged(shop) == {}
    assert installation.leases(shop) == []


def test_the_next_pod_gets_what_was_written(installation: Installation, shop: str) -> None:
    name = installation.create(b"first")
    seen = []
    for number, value in enumerate((b"first", b"second", b"third")):
        if number:
            installation.secret("update", name, "-p", "shop", "-d", "production", stdin=value)
        stored = installation.admitted(shop, pod(f"a{number}", both(name)))
        seen.append(reference(stored, "DB_PASSWORD"))
        assert installation.staged(shop)[seen[-1]] == value
    assert len(set(seen)) == 3
    installation.secret("delete", name, "-p", "shop", "-d", "production", "--yes")
    message = installation.refused(shop, pod("gone", both(name)))
    assert f'secret "{name}" (env DB_PASSWORD, file db/password): not_found; looked in' in message
    installation.secret("create", name, "-p", "shop", "-d", "production", stdin=b"made again")
    stored = installation.admitted(shop, pod("again", both(name)))
    assert installation.staged(shop)[reference(stored, "DB_PASSWORD")] == b"made again"


TEMPLATES = {
    "Deployment": ("apps/v1", "deployments"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    "ReplicaSet": ("apps/v1", "replicasets"),
    "DaemonSet": ("apps/v1", "daemonsets"),
    "Job": ("batch/v1", "jobs"),
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_pods_of_controllers_get_theirs(installation: Installation, shop: str, kind: str) -> None:
    name = installation.create(b"x")
    version, resource = TEMPLATES[kind]
    made = pod("ignored", both(name))
    labels = {"app": "a"}
    template = {
        "metadata": {"labels": labels, "annotations": made["metadata"]["annotations"]},
        "spec": made["spec"] | ({"restartPolicy": "Never"} if kind == "Job" else {}),
    }
    spec: dict[str, Any] = {"template": template}
    if kind != "Job":
        spec["selector"] = {"matchLabels": labels}
    if kind == "DaemonSet":
        installation.a_node()
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    installation.api("POST", f"/apis/{version}/namespaces/{shop}/{resource}", body).ok()
    [stored] = until(lambda: installation.pods(shop), what=f"the pod of a {kind}")[:1]
    assert reference(stored, "DB_PASSWORD") in installation.staged(shop)


def test_pods_of_cron_jobs_get_theirs(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    made = pod("ignored", both(name))
    template = {
        "metadata": {"annotations": made["metadata"]["annotations"]},
        "spec": made["spec"] | {"restartPolicy": "Never"},
    }
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": spec}
    installation.api("POST", f"/apis/batch/v1/namespaces/{shop}/cronjobs", body).ok()
    installation.cluster.kubectl("create", "job", "--from=cronjob/a", "now", "-n", shop)
    [stored] = until(lambda: installation.pods(shop), what="the pod of a CronJob")[:1]
    assert reference(stored, "DB_PASSWORD") in installation.staged(shop)


def test_native_sidecars_and_init_containers_get_theirs(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    init = [
        {"name": "sidecar", "image": "registry.invalid/a", "restartPolicy": "Always"},
        {"name": "init", "image": "registry.invalid/a"},
    ]
    stored = installation.admitted(shop, pod("a", both(name), initContainers=init))
    for container in (*stored["spec"]["containers"], *stored["spec"]["initContainers"]):
        assert [entry["name"] for entry in container["env"]] == ["DB_PASSWORD"]


def test_a_new_namespace_is_believed_at_once(installation: Installation) -> None:
    name = installation.create(b"x")
    for _ in range(5):
        namespace = installation.namespace("shop", "production")
        installation.admitted(namespace, pod("a", both(name)))


def test_a_namespace_that_was_deleted_and_made_again_starts_anew(installation: Installation) -> None:
    name = installation.create(b"x")
    namespace = installation.namespace("shop", "production")
    before = reference(installation.admitted(namespace, pod("a", both(name))), "DB_PASSWORD")
    installation.api("DELETE", f"/api/v1/namespaces/{namespace}/pods/a?gracePeriodSeconds=0").ok()
    installation.api("DELETE", f"/api/v1/namespaces/{namespace}").ok()
    path = f"/api/v1/namespaces/{namespace}"
    until(lambda: installation.api("GET", path).status == 404, what="the namespace to go")
    installation.namespace("shop", "production", namespace)
    after = reference(installation.admitted(namespace, pod("a", both(name))), "DB_PASSWORD")
    assert after != before
    assert set(installation.staged(namespace)) == {after}


def test_a_pod_that_asks_nothing_never_reaches_us(installation: Installation, shop: str) -> None:
    before = installation.server.admissions()
    installation.admitted(shop, pod("a", None))
    assert installation.server.admissions() == before


def test_pods_of_two_namespaces_share_nothing(installation: Installation) -> None:
    name = installation.create(b"x")
    names = set()
    for _ in range(2):
        namespace = installation.namespace("shop", "production")
        names.add(reference(installation.admitted(namespace, pod("a", both(name))), "DB_PASSWORD"))
        assert len(installation.staged(namespace)) == 1
    assert len(names) == 2


def test_two_replicas_stage_one_secret(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    other = installation.serve("injector")
    try:
        first = reference(installation.admitted(shop, pod("a", both(name))), "DB_PASSWORD")
        installation.lead_to(other)
        second = reference(installation.admitted(shop, pod("b", both(name))), "DB_PASSWORD")
        assert first == second
        assert set(installation.staged(shop)) == {first}
        for number, server in enumerate((installation.server, other, installation.server)):
            installation.secret("update", name, "-p", "shop", "-d", "production", stdin=b"%d" % number)
            installation.lead_to(server)
            fresh = reference(installation.admitted(shop, pod(f"c{number}", both(name))), "DB_PASSWORD")
            assert installation.staged(shop)[fresh] == b"%d" % number
    finally:
        installation.lead_to(installation.server)
        other.stop()
