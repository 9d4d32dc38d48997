"""What a tenant with the role ``edit`` in its own namespace may try, and what our own token is good for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from installation import DOMAIN, INJECTOR, PROJECT, STATUS, SYSTEM, Installation, pod, reference
from kit import until

LABELS = {PROJECT: "shop", DOMAIN: "production"}


def claiming(body: dict[str, Any], **labels: str) -> dict[str, Any]:
    body["metadata"]["labels"] = labels or LABELS
    return body


def unseen(installation: Installation, name: str) -> None:
    """The store was not asked for it: no admission names it beside a scope."""
    lines = [json.loads(line) for line in installation.audit_text().splitlines()]
    decided = [line for line in lines if line["surface"] == "admission"]
    assert all(line["outcome"] != "ok" for line in decided if name in json.dumps(line))


# -- another project's scope


@pytest.mark.parametrize(
    "labels", [("mail", "production"), ("shop", "staging"), ("mail", None), (None, "staging"), (None, None)]
)
def test_labels_of_another_project_are_no_proof(
    installation: Installation, labels: tuple[str | None, str | None]
) -> None:
    name = installation.create(b"x")
    namespace = installation.namespace(*labels)
    tenant = installation.tenant(namespace)
    message = installation.refused(namespace, claiming(pod("a", [{"name": name}])), as_user=tenant)
    assert "permission_denied" in message
    assert "namespace labels:" in message
    unseen(installation, name)
    assert installation.leases(namespace) == []


def workload(kind: str, template: dict[str, Any]) -> dict[str, Any]:
    if kind == "deployments":
        return {"template": template, "selector": {"matchLabels": {"app": "a"}}}
    template["spec"]["restartPolicy"] = "Never"
    if kind == "jobs":
        return {"template": template}
    return {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}


@pytest.mark.parametrize("kind", ["deployments", "jobs", "cronjobs"])
def test_nor_are_they_through_a_controller(installation: Installation, kind: str) -> None:
    name = installation.create(b"x")
    namespace = installation.namespace("mail", "production")
    tenant = installation.tenant(namespace)
    made = claiming(pod("ignored", [{"name": name}]), **LABELS, app="a")
    spec = workload(kind, {"metadata": made["metadata"], "spec": made["spec"]})
    version = "apps/v1" if kind == "deployments" else "batch/v1"
    body = {"metadata": {"name": "a"}, "spec": spec}
    installation.api("POST", f"/apis/{version}/namespaces/{namespace}/{kind}", body, as_user=tenant).ok()
    if kind == "cronjobs":
        installation.cluster.kubectl(
            "create", "job", "--from=cronjob/a", "now", "-n", namespace, f"--as={tenant}"
        )
    events = f"/api/v1/namespaces/{namespace}/events"
    message = until(
        lambda: [
            event["message"]
            for event in installation.api("GET", events).ok()["items"]
            if event["reason"] == "FailedCreate"
        ],
        what="the controller to be refused",
    )[0]
    assert "permission_denied" in message
    assert installation.pods(namespace) == []


def test_a_namespace_inside_the_pod_changes_nothing(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    namespace = installation.namespace("mail", "production")
    body = pod("a", [{"name": name}])
    body["metadata"]["namespace"] = shop
    assert installation.submit(namespace, body).status == 400
    assert installation.leases(shop) == []


def test_guard_4_keeps_tenants_from_labelling_namespaces(installation: Installation) -> None:
    namespace = installation.namespace("mail", "production")
    tenant = installation.tenant(namespace)
    installation.cluster.kubectl(
        "create",
        "clusterrole",
        f"{namespace}-own",
        "--verb=get,update,patch,create",
        "--resource=namespaces,namespaces/status,namespaces/finalize",
    )
    account = tenant.removeprefix("system:serviceaccount:")
    installation.cluster.kubectl(
        "create",
        "clusterrolebinding",
        f"{namespace}-own",
        f"--clusterrole={namespace}-own",
        f"--serviceaccount={account}",
    )
    path = f"/api/v1/namespaces/{namespace}"
    merge = "application/merge-patch+json"
    harmless = {"metadata": {"labels": {"team": "a"}}}
    assert installation.api("PATCH", path, harmless, as_user=tenant, content_type=merge).status == 200
    for labels in ({PROJECT: "shop"}, {DOMAIN: None}, {PROJECT: None}, {DOMAIN: "staging"}):
        patch = {"metadata": {"labels": labels}}
        for suffix in ("", "/status"):
            answer = installation.api("PATCH", path + suffix, patch, as_user=tenant, content_type=merge)
            current = installation.api("GET", path).ok()["metadata"]["labels"]
            assert (current[PROJECT], current[DOMAIN]) == ("mail", "production")
            if not suffix:
                assert answer.status == 403
                assert "guard 4" in answer.body["message"]
    fresh = {"metadata": {"name": f"{namespace}-x", "labels": LABELS}}
    answer = installation.api("POST", "/api/v1/namespaces", fresh, as_user=tenant)
    assert "guard 4" in answer.body["message"]
    whole = installation.api("GET", path).ok()
    whole["metadata"]["labels"][PROJECT] = "shop"
    answer = installation.api("PUT", path + "/finalize", whole, as_user=tenant)
    assert installation.api("GET", path).ok()["metadata"]["labels"][PROJECT] == "mail"


def test_whoever_may_assign_scopes_can(installation: Installation) -> None:
    namespace = installation.namespace()
    tenant = installation.tenant(namespace)
    account = tenant.removeprefix("system:serviceaccount:")
    for role in ("secrets-svc-scope-assigner", "admin"):
        installation.cluster.kubectl(
            "create",
            "clusterrolebinding",
            f"{namespace}-{role}",
            f"--clusterrole={role}",
            f"--serviceaccount={account}",
        )
    installation.cluster.kubectl(
        "create", "clusterrole", f"{namespace}-own", "--verb=patch", "--resource=namespaces"
    )
    installation.cluster.kubectl(
        "create",
        "clusterrolebinding",
        f"{namespace}-own",
        f"--clusterrole={namespace}-own",
        f"--serviceaccount={account}",
    )
    answer = installation.api(
        "PATCH",
        f"/api/v1/namespaces/{namespace}",
        {"metadata": {"labels": LABELS}},
        as_user=tenant,
        content_type="application/merge-patch+json",
    )
    assert answer.status == 200, answer.body


# -- references to what is staged for others


def env_of(name: str) -> list[dict[str, Any]]:
    return [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "value"}}}]


def containers(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "main", "image": "registry.invalid/a", **fields}]


REFERENCES: dict[str, Any] = {
    "env": lambda name: {"containers": containers(env=env_of(name))},
    "env of an init container": lambda name: {
        "initContainers": [{"name": "init", "image": "registry.invalid/a", "env": env_of(name)}]
    },
    "envFrom": lambda name: {"containers": containers(envFrom=[{"secretRef": {"name": name}}])},
    "secret volume": lambda name: {"volumes": [{"name": "v", "secret": {"secretName": name}}]},
    "projected volume": lambda name: {
        "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": name}}]}}]
    },
    "csi volume": lambda name: {
        "volumes": [{"name": "v", "csi": {"driver": "d.example", "nodePublishSecretRef": {"name": name}}}]
    },
    "imagePullSecrets": lambda name: {"imagePullSecrets": [{"name": name}]},
}


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("place", REFERENCES)
def test_staged_secrets_are_reached_by_asking_only(
    installation: Installation, shop: str, place: str, asks: bool
) -> None:
    name = installation.create(b"x")
    staged = reference(installation.admitted(shop, pod("owner", [{"name": name, "env": "A"}])), "A")
    tenant = installation.tenant(shop)
    requests = [{"name": name, "env": "B"}] if asks else None
    body = pod("thief", requests)
    body["spec"] |= REFERENCES[place](staged)
    message = installation.refused(shop, body, as_user=tenant)
    assert ("refers to a Secret whose name begins" in message) if asks else ("guard 2" in message)


@pytest.mark.parametrize("asks", [False, True])
def test_ephemeral_containers_reach_nothing_staged(installation: Installation, shop: str, asks: bool) -> None:
    name = installation.create(b"x")
    staged = reference(installation.admitted(shop, pod("owner", [{"name": name, "env": "A"}])), "A")
    installation.admitted(shop, pod("running", [{"name": name}] if asks else None))
    path = f"/api/v1/namespaces/{shop}/pods/running/ephemeralcontainers"
    merge = "application/strategic-merge-patch+json"
    for fields in ({"env": env_of(staged)}, {"envFrom": [{"secretRef": {"name": staged}}]}):
        body = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.invalid/a", **fields}]}}
        answer = installation.api("PATCH", path, body, content_type=merge)
        assert answer.status == 403
        assert "guard 2" in answer.body["message"]
    body = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.invalid/a"}]}}
    answer = installation.api("PATCH", path, body, content_type=merge)
    assert answer.status == 200, answer.body
    assert "env" not in answer.body["spec"]["ephemeralContainers"][0]


def test_a_forged_status_is_refused_or_replaced(installation: Installation, shop: str) -> None:
    body = pod("a", None)
    body["metadata"]["annotations"][STATUS] = "[]"
    stored = installation.admitted(shop, body)  # it never reaches us, and nobody believes it
    assert "env" not in stored["spec"]["containers"][0]
    name = installation.create(b"x")
    body = pod("b", [{"name": name}])
    body["metadata"]["annotations"][STATUS] = '[{"name":"forged"}]'
    stored = installation.admitted(shop, body)
    assert "forged" not in stored["metadata"]["annotations"][STATUS]


def test_a_tenant_can_not_prepare_what_will_be_staged(installation: Installation, shop: str) -> None:
    """Names are known only once they are there; what a tenant does to its own namespace hurts it alone."""
    name = installation.create(b"the true one")
    tenant = installation.tenant(shop)
    secret = reference(installation.admitted(shop, pod("a", [{"name": name, "env": "A"}])), "A")
    [lease] = installation.leases(shop)
    path = f"/api/v1/namespaces/{shop}/secrets/{secret}"
    changed = {"data": {"value": base64.b64encode(b"a forged one").decode()}}
    answer = installation.api(
        "PATCH", path, changed, as_user=tenant, content_type="application/merge-patch+json"
    )
    assert answer.status == 422  # immutable
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{shop}/leases"
    installation.api("DELETE", f"{leases}/{lease['metadata']['name']}").ok()
    until(lambda: not installation.staged(shop), what="the staged Secret to go")
    name_and_labels = {"name": lease["metadata"]["name"], "labels": lease["metadata"]["labels"]}
    answer = installation.api("POST", leases, {"metadata": name_and_labels, "spec": {}})
    assert "guard 3" in answer.body["message"]  # whoever asks
    again = reference(installation.admitted(shop, pod("b", [{"name": name, "env": "A"}])), "A")
    assert again != secret
    assert installation.staged(shop)[again] == b"the true one"


# -- engines (proof by creator)


def list_engines(installation: Installation, usernames: list[str]) -> None:
    installation.set_guard("secrets-svc-guard-1-creators", "engines", json.dumps(usernames))


@pytest.fixture
def engines(installation: Installation) -> Iterator[tuple[str, str]]:
    """Two engines of one namespace, on guard 1's list."""
    namespace = installation.namespace()
    pair = (installation.tenant(namespace), installation.tenant(namespace))
    list_engines(installation, list(pair))
    yield pair
    list_engines(installation, [])


def test_guard_1_keeps_an_engine_from_lending_its_account(
    installation: Installation, engines: tuple[str, str]
) -> None:
    one, other = engines
    namespace = one.split(":")[2]
    for engine, account in ((one, one), (one, other), (other, one), (other, other)):
        own = pod("own", None, serviceAccountName=account.rpartition(":")[2])

        def is_refused(engine: str = engine, own: dict[str, Any] = own) -> bool:
            answer = installation.submit(namespace, own, query="?dryRun=All", as_user=engine)
            return answer.status == 403 and "guard 1" in answer.body["message"]

        until(is_refused, what="the policy to follow its list")
    installation.admitted(namespace, pod("other", None), as_user=one)
    installation.admitted(namespace, pod("by-admin", None, serviceAccountName=one.rpartition(":")[2]))


# -- our own token


def staged_secret(**fields: Any) -> dict[str, Any]:
    owner = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": "ss-" + "a" * 40, "uid": "u"}
    labels = {"secrets-svc.internal/staged": "true"}
    metadata = {"name": "ss-" + "b" * 40, "ownerReferences": [owner], "labels": labels}
    metadata |= fields.pop("metadata", {})
    whole = {"metadata": metadata, "immutable": True, "type": "secrets-svc.internal/staged", **fields}
    return {key: value for key, value in whole.items() if value is not None}


FORBIDDEN = {
    "a bootstrap token": (
        "kube-system",
        staged_secret(type="bootstrap.kubernetes.io/token", metadata={"name": "bootstrap-token-abcdef"}),
    ),
    "another name": ("", staged_secret(metadata={"name": "db-password"})),
    "a name to be made": ("", staged_secret(metadata={"name": None, "generateName": "ss-"})),
    "a service account token": (
        "",
        staged_secret(
            type="kubernetes.io/service-account-token",
            metadata={"annotations": {"kubernetes.io/service-account.name": "default"}},
        ),
    ),
    "one that can be changed": ("", staged_secret(immutable=None)),
    "one without a lease": ("", staged_secret(metadata={"ownerReferences": None})),
    "one under a pod": (
        "",
        staged_secret(
            metadata={
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "ss-" + "a" * 40, "uid": "u"}]
            }
        ),
    ),
    "a pull secret of the old form": (
        "",
        staged_secret(type="kubernetes.io/dockercfg", data={".dockercfg": "e30="}),
    ),
    "a pull secret with a key of another type": (
        "",
        staged_secret(
            type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "e30=", "value": "e30="}
        ),
    ),
    "a staged one with a pull secret's key": ("", staged_secret(data={".dockerconfigjson": "e30="})),
    "one with a label for others": (
        "",
        staged_secret(
            metadata={
                "labels": {
                    "secrets-svc.internal/staged": "true",
                    "argocd.argoproj.io/secret-type": "cluster",
                }
            }
        ),
    ),
    "one with an annotation": ("", staged_secret(metadata={"annotations": {"a.example/b": "c"}})),
    "one that can't be removed": ("", staged_secret(metadata={"finalizers": ["a.example/b"]})),
    "one with another key": ("", staged_secret(data={"ca.crt": "eA=="})),
    "one in a namespace without a scope": ("default", staged_secret()),
    "one in our own namespace": (SYSTEM, staged_secret()),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_guard_3_our_token_makes_nothing_but_staged_secrets(
    installation: Installation, shop: str, what: str
) -> None:
    namespace, body = FORBIDDEN[what]
    path = f"/api/v1/namespaces/{namespace or shop}/secrets"
    answer = installation.api("POST", path, body, as_user=INJECTOR)
    assert answer.status in (403, 422), answer.body
    assert "guard 3" in answer.body["message"]


def test_what_we_make_passes_guard_3(installation: Installation, shop: str) -> None:
    answer = installation.api("POST", f"/api/v1/namespaces/{shop}/secrets", staged_secret(), as_user=INJECTOR)
    assert answer.status == 201, answer.body


LEASE = {
    "metadata": {"name": "ss-" + "a" * 40, "labels": {"secrets-svc.internal/staged": "true"}},
    "spec": {},
}


def test_guard_3_our_token_has_leases_of_ours_only(installation: Installation, shop: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{shop}/leases"
    foreign = {"metadata": {"name": "foreign"}, "spec": {"holderIdentity": "them"}}
    installation.api("POST", path, foreign).ok()
    assert (
        "guard 3"
        in installation.api("POST", path, {"metadata": {"name": "mine"}}, as_user=INJECTOR).body["message"]
    )
    unlabelled = {"metadata": {"name": "ss-" + "c" * 40}}
    assert "guard 3" in installation.api("POST", path, unlabelled, as_user=INJECTOR).body["message"]
    steal = {"metadata": {"labels": LEASE["metadata"]["labels"]}, "spec": {"holderIdentity": "us"}}
    merge = "application/merge-patch+json"
    answer = installation.api("PATCH", f"{path}/foreign", steal, as_user=INJECTOR, content_type=merge)
    assert "guard 3" in answer.body["message"]
    assert "guard 3" in installation.api("DELETE", f"{path}/foreign", as_user=INJECTOR).body["message"]
    installation.api("POST", path, {**LEASE, "metadata": LEASE["metadata"] | {"labels": {}}}).ok()
    answer = installation.api(
        "PATCH", f"{path}/{LEASE['metadata']['name']}", steal, as_user=INJECTOR, content_type=merge
    )
    assert "guard 3" in answer.body["message"]  # a reserved name that isn't ours yet
    assert installation.api("GET", f"{path}/foreign").body["spec"]["holderIdentity"] == "them"


def test_guard_3_nobody_else_has_leases_with_our_label(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    installation.admitted(shop, pod("a", [{"name": name}]))
    [lease] = installation.leases(shop)
    tenant = installation.tenant(shop)
    role = f"{shop}-leases"
    verbs = "--verb=get,list,create,update,patch,delete"
    installation.cluster.kubectl("create", "role", role, "-n", shop, verbs, "--resource=leases")
    account = tenant.removeprefix("system:serviceaccount:")
    installation.cluster.kubectl(
        "create", "rolebinding", role, "-n", shop, f"--role={role}", f"--serviceaccount={account}"
    )
    path = f"/apis/coordination.k8s.io/v1/namespaces/{shop}/leases"
    own = {"metadata": {"name": "own"}, "spec": {}}
    installation.api("POST", path, own, as_user=tenant).ok()
    merge = "application/merge-patch+json"
    for target, patch in (
        ("own", {"metadata": {"labels": LEASE["metadata"]["labels"]}}),
        (lease["metadata"]["name"], {"metadata": {"labels": {"secrets-svc.internal/staged": None}}}),
        (lease["metadata"]["name"], {"metadata": {"finalizers": ["a.example/b"]}}),
    ):
        answer = installation.api("PATCH", f"{path}/{target}", patch, as_user=tenant, content_type=merge)
        assert "guard 3" in answer.body["message"]
    installation.api("DELETE", f"{path}/{lease['metadata']['name']}", as_user=tenant).ok()
    until(lambda: not installation.staged(shop), what="the staged Secret to go with it")


def test_our_token_reads_no_secret_and_no_foreign_lease(installation: Installation, shop: str) -> None:
    for path in (
        f"/api/v1/namespaces/{shop}/secrets",
        "/api/v1/secrets",
        "/api/v1/namespaces/kube-system/secrets",
        f"/api/v1/namespaces/{SYSTEM}/configmaps",
    ):
        assert installation.api("GET", path, as_user=INJECTOR).status == 403
