"""The rights in the documents: enough, and none too many."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import ROOT, blocks, section
from kit import Cluster, until
from kubernetes_store import SCOPE, Store, create, delete, read, some_ref, update

from secrets_svc.backends.kubernetes.namespace import Namespace
from secrets_svc.backends.kubernetes.operations import Operations
from secrets_svc.core.errors import NotFound, Unavailable
from secrets_svc.kube.api import connect

PAGE = (ROOT / "docs" / "backends.md").read_text()
RIGHTS = next(block.text for block in blocks(section(PAGE, "kubernetes")) if block.language == "yaml")
# Other tests have namespaces of the page's own names.
NAMESPACE, SYSTEM = (f"{name}-{secrets.token_hex(4)}" for name in ("store", "system"))
RIGHTS = RIGHTS.replace("namespace: secrets-svc", f"namespace: {SYSTEM}").replace("flyte", NAMESPACE)
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all(RIGHTS))
ROLES = {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == "Role"}
WRITER, READER = "secrets-svc-writer", "secrets-svc-injector"
#: All that a role is needed for, and each verb of it once.
VERBS = [
    (name, number, verb)
    for name, role in ROLES.items()
    for number, rule in enumerate(role["rules"])
    for verb in rule["verbs"]
]
RBAC = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"


@pytest.fixture(scope="module")
def rights(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with what the page says."""
    for name in (NAMESPACE, SYSTEM):
        cluster.namespace(name)
    cluster.kubectl("apply", "-f", "-", stdin=RIGHTS)
    for account in (WRITER, READER):
        path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts"
        cluster.api("POST", path, {"metadata": {"name": account}}).ok()
    yield cluster
    for name in (NAMESPACE, SYSTEM):
        cluster.api("DELETE", f"/api/v1/namespaces/{name}")


def may(cluster: Cluster, user: str, rules: list[dict[str, Any]]) -> None:
    """Wait until the API server has heard of the rights."""

    def allowed(rule: dict[str, Any], resource: str, verb: str) -> bool:
        attributes = {
            "namespace": NAMESPACE,
            "group": rule["apiGroups"][0],
            "resource": resource,
            "verb": verb,
        }
        attributes["name"] = next(iter(rule.get("resourceNames", [])), "")
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        found: bool = cluster.api("POST", path, review).ok()["status"]["allowed"]
        return found

    for rule in rules:
        for verb in rule["verbs"]:
            for resource in rule["resources"]:
                until(
                    lambda rule=rule, verb=verb, resource=resource: allowed(rule, resource, verb), what=verb
                )


def lead_a_writers_life(store: Store) -> None:
    """Everything a writer does, the sweeping that goes on beside included."""
    writer, ref, operation = store.writer(), some_ref(), secrets.token_hex(8)
    made = create(writer, ref, operation_id=operation)
    assert create(writer, ref, operation_id=operation) == made
    update(writer, ref, b"other")
    assert ref in {item.ref for item in writer.list(SCOPE).items}
    delete(writer, ref)
    with pytest.raises(NotFound):
        writer.describe(ref)
    lease = {"name": f"old-{operation}", "labels": {"secrets-svc.internal/operation-hour": "2020-01-01T00"}}
    store.cluster.api("POST", store.path(resource="leases"), {"metadata": lease, "spec": {}}).ok()
    api = connect(store.kubeconfig)
    Operations(Namespace(api, store.namespace, timeout=5.0)).sweep()
    api.close()


def lead_a_readers_life(store: Store) -> None:
    """Everything a reader does."""
    admin = Store(store.cluster, store.namespace)
    ref = some_ref()
    create(admin.writer(), ref)
    reader = store.reader()
    assert set(reader.resolve([ref, some_ref()])) == {ref}
    assert read(reader, ref) == b"value"
    admin.close()


LIVES: dict[str, Callable[[Store], None]] = {
    "secrets-svc-writer": lead_a_writers_life,
    "secrets-svc-reader": lead_a_readers_life,
}


@pytest.mark.parametrize(
    ("role", "account"), [("secrets-svc-writer", WRITER), ("secrets-svc-reader", READER)]
)
def test_they_are_enough(rights: Cluster, role: str, account: str) -> None:
    may(rights, f"system:serviceaccount:{SYSTEM}:{account}", ROLES[role]["rules"])
    store = Store(rights, NAMESPACE, rights.kubeconfig_with(rights.token(SYSTEM, account)))
    LIVES[role](store)
    store.close()


@pytest.mark.parametrize(("name", "number", "verb"), VERBS)
def test_none_is_too_many(rights: Cluster, name: str, number: int, verb: str) -> None:
    role = copy.deepcopy(ROLES[name])
    rules = role["rules"]
    rules[number]["verbs"].remove(verb)
    rules = [rule for rule in rules if rule["verbs"]]
    user = f"user-{secrets.token_hex(4)}"
    metadata = {"name": user, "namespace": NAMESPACE}
    rights.api("POST", f"{RBAC}/roles", {"metadata": metadata, "rules": rules}).ok()
    binding = {
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    rights.api("POST", f"{RBAC}/rolebindings", binding).ok()
    may(rights, user, rules)
    store = Store(rights, NAMESPACE, rights.kubeconfig_for(user))
    with pytest.raises(Unavailable, match="this service's identity has no right to"):
        LIVES[name](store)
    store.close()


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete", "list", "watch", "deletecollection"])
def test_the_reader_reads_and_no_more(rights: Cluster, verb: str) -> None:
    user = f"system:serviceaccount:{SYSTEM}:{READER}"
    may(rights, user, ROLES["secrets-svc-reader"]["rules"])
    for namespace, resource in ((NAMESPACE, "secrets"), ("default", "secrets"), (NAMESPACE, "leases")):
        done = rights.kubectl("auth", "can-i", verb, resource, "-n", namespace, "--as", user, check=False)
        assert done.stdout.strip() == "no", (namespace, resource)


@pytest.mark.parametrize("account", [WRITER, READER])
def test_their_rights_end_with_the_namespace(rights: Cluster, account: str) -> None:
    for verb in ("get", "list", "create", "patch", "delete"):
        done = rights.kubectl(
            *("auth", "can-i", verb, "secrets", "-n", "default"),
            *("--as", f"system:serviceaccount:{SYSTEM}:{account}"),
            check=False,
        )
        assert done.stdout.strip() == "no", verb


def test_two_identities_of_one_store(rights: Cluster, tmp_path: Path) -> None:
    """Each side with its own kubeconfig, in one table of settings; and with contexts in one file."""
    by_file = {
        "writer_kubeconfig": rights.kubeconfig_with(rights.token(SYSTEM, WRITER)),
        "reader_kubeconfig": rights.kubeconfig_with(rights.token(SYSTEM, READER)),
    }
    both = json.loads(by_file["writer_kubeconfig"].read_text())
    reader = json.loads(by_file["reader_kubeconfig"].read_text())
    both["users"].append({"name": "reader", "user": reader["users"][0]["user"]})
    both["contexts"].append({"name": "reader", "context": {"cluster": "kube", "user": "reader"}})
    joined = tmp_path / "kubeconfig"
    joined.touch(mode=0o600)
    joined.write_text(json.dumps(both))
    store = Store(rights, NAMESPACE)
    for more in (by_file, {"kubeconfig": joined, "writer_context": "kube", "reader_context": "reader"}):
        ref = some_ref()
        create(store.writer(**more), ref)
        assert read(store.reader(**more), ref) == b"value"
        wrong = {**more, "writer_kubeconfig": by_file["reader_kubeconfig"], "writer_context": None}
        with pytest.raises(Unavailable, match="has no right to"):
            create(store.writer(**wrong), some_ref())
    store.close()
