"""Existing Secrets of a cluster, with accounts that may do what is printed."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from existing_suite import ExistingSuite, path
from kit import Cluster, until

from secrets_svc.backends.existing.reader import ExistingReader
from secrets_svc.backends.existing.writer import ExistingWriter
from secrets_svc.backends.kubernetes import BACKEND
from secrets_svc.backends.kubernetes.settings import KubernetesSettings
from secrets_svc.core.errors import InvalidArgument, NotFound, Unavailable, Unsupported
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

NOWHERE = Path("/nowhere")
IN_SHOP = Scope("flyte", project="shop")


class OutsideKubernetes:
    """All in one namespace of the test's own; what parts a path there is a dot."""

    keyed = True
    cases = False

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.opened = ExitStack()

    def template(self, template: str) -> str:
        return template.replace("/", ".")

    def put(self, path: str, document: dict[str, Any], *, namespace: str = "", **more: Any) -> None:
        collection = f"/api/v1/namespaces/{namespace or self.namespace}/secrets"
        data = {key: base64.b64encode(str(value).encode()).decode() for key, value in document.items() if key}
        body = {"metadata": {"name": path}, "data": data, **more}
        if self.cluster.api("PUT", f"{collection}/{path}", body).status == 404:
            self.cluster.api("POST", collection, body).ok()

    def remove(self, path: str) -> None:
        self.cluster.api("DELETE", f"/api/v1/namespaces/{self.namespace}/secrets/{path}").ok()

    def reader(self, template: str, **settings: Any) -> ExistingReader:
        reader: Any = BACKEND.open_reader(self.as_account("reader", template, **settings), state=NOWHERE)
        self.opened.callback(reader.close)
        return reader  # type: ignore[no-any-return]

    def writer(self, template: str, **settings: Any) -> ExistingWriter:
        writer: Any = BACKEND.open_writer(self.as_account("writer", template, **settings), state=NOWHERE)
        self.opened.callback(writer.close)
        return writer  # type: ignore[no-any-return]

    def as_account(self, role: str, template: str, **settings: Any) -> KubernetesSettings:
        """With the printed rights, for an account in the test's namespace."""
        plain = BACKEND.settings_model(namespace=self.namespace, existing=template, **settings)
        account = f"{role}-{secrets.token_hex(4)}"
        self.cluster.api(
            "POST", f"/api/v1/namespaces/{self.namespace}/serviceaccounts", {"metadata": {"name": account}}
        ).ok()
        rules, binding = yaml.safe_load_all(BACKEND.policy(plain, role=role))  # type: ignore[attr-defined]
        for each in (rules, binding):
            each["metadata"]["name"] = account
        binding["roleRef"]["name"] = account
        binding["subjects"] = [{"kind": "ServiceAccount", "name": account, "namespace": self.namespace}]
        self.cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([rules, binding]))
        until(lambda: self.may_get(account), what="the rights to be heard of")
        kubeconfig = self.cluster.kubeconfig_with(self.cluster.token(self.namespace, account))
        return plain.model_copy(update={"kubeconfig": kubeconfig})  # type: ignore[no-any-return]

    def may_get(self, account: str) -> bool:
        attributes = {"namespace": self.namespace, "resource": "secrets", "verb": "get"}
        user = f"system:serviceaccount:{self.namespace}:{account}"
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        answer = self.cluster.api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review).ok()
        return bool(answer["status"]["allowed"])


@pytest.fixture
def outside(cluster: Cluster, namespace: str) -> Iterator[OutsideKubernetes]:
    made = OutsideKubernetes(cluster, namespace)
    yield made
    made.opened.close()


class TestKubernetes(ExistingSuite):
    """The suite."""


def test_a_namespace_can_be_a_part_of_the_path(outside: OutsideKubernetes) -> None:
    template = "{project}/{name}#a"
    one, other = outside.namespace, outside.cluster.namespace()
    for namespace in (one, other):
        outside.put("db", {"a": namespace}, namespace=namespace)
    reader, writer = outside.reader(template), outside.writer(template)
    refs = [SecretRef(Scope("flyte", project=namespace), "db") for namespace in (one, other)]
    found = reader.resolve([*refs, SecretRef(IN_SHOP, "db")])
    assert set(found) == set(refs)  # a namespace that isn't there has no secrets
    for ref in refs:
        assert reader.read(ref, found[ref].token).value.reveal_bytes() == ref.scope.project.encode()  # type: ignore[union-attr]
        assert [item.ref for item in writer.list(ref.scope).items] == [ref]
    listed = {item.ref for item in writer.list(Scope("flyte"), limit=1000).items}
    assert set(refs) <= listed
    assert not any(ref.scope.project == "kube-system" and "token" in ref.name for ref in listed)
    outside.cluster.api("DELETE", f"/api/v1/namespaces/{other}")


def test_bytes_come_as_they_are(outside: OutsideKubernetes) -> None:
    data = {"key": base64.b64encode(bytes(range(256))).decode()}
    outside.put("shop.db", {}, data=data)
    ref = SecretRef(IN_SHOP, "db")
    reader = outside.reader("{project}.{name}#key")
    token = reader.resolve([ref])[ref].token
    assert reader.read(ref, token).value.reveal_bytes() == bytes(range(256))
    missing = outside.reader("{project}.{name}#other")
    with pytest.raises(InvalidArgument, match='it has no data key "other"'):
        missing.read(ref, token)


def test_tokens_of_the_cluster_are_given_to_nobody(outside: OutsideKubernetes) -> None:
    kind = "kubernetes.io/service-account-token"
    annotations = {"kubernetes.io/service-account.name": "default"}
    body = {"name": "shop.token", "annotations": annotations}
    outside.put("shop.token", {}, metadata=body, type=kind)
    outside.put("shop.staged", {"token": "x"}, type="secrets-svc.internal/staged")
    reader, writer = outside.reader("{project}.{name}#token"), outside.writer("{project}.{name}#token")
    for name in ("token", "staged"):
        ref = SecretRef(IN_SHOP, name)
        with pytest.raises(Unsupported, match="no task gets it"):
            reader.read(ref, reader.resolve([ref])[ref].token)
    assert writer.list(Scope("flyte")).items == ()


def test_what_is_somebody_else_s_in_another_way_is_not_there(outside: OutsideKubernetes) -> None:
    """Secrets of scopes, keys of this service, releases of Helm: a project may be called as it likes."""
    outside.put(
        "shop.managed",
        {"token": "x"},
        metadata={"name": "shop.managed", "labels": {"app.flyte.org/managed": "true"}},
    )
    outside.put(
        "shop.key",
        {"token": "x"},
        metadata={"name": "shop.key", "labels": {"secrets-svc.internal/operations-key": "true"}},
    )
    outside.put("shop.release", {"token": "x"}, type="helm.sh/release.v1")
    reader, writer = outside.reader("{project}.{name}#token"), outside.writer("{project}.{name}#token")
    refs = [SecretRef(IN_SHOP, name) for name in ("managed", "key")]
    assert reader.resolve(refs) == {}
    release = SecretRef(IN_SHOP, "release")
    with pytest.raises(Unsupported, match="no task gets it"):
        reader.read(release, reader.resolve([release])[release].token)
    assert writer.list(Scope("flyte")).items == ()


@pytest.mark.parametrize("project", ["kube-system", "kube-public", "secrets-svc", "flyte"])
def test_a_project_called_as_a_namespace_of_the_cluster_s_gets_nothing_of_it(
    outside: OutsideKubernetes, project: str
) -> None:
    outside.cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": project}})  # it may be there
    body = {"metadata": {"name": "installation-key"}, "data": {"key": "eA=="}}
    outside.cluster.api("POST", f"/api/v1/namespaces/{project}/secrets", body)
    ref = SecretRef(Scope("flyte", project=project), "installation-key")
    reader, writer = outside.reader("{project}/{name}#key"), outside.writer("{project}/{name}#key")
    assert reader.resolve([ref]) == {}
    with pytest.raises(NotFound):
        writer.describe(ref)
    assert [item for item in writer.list(Scope("flyte")).items if item.ref == ref] == []


def test_without_rights_or_a_namespace_nothing_is_taken_for_absent(outside: OutsideKubernetes) -> None:
    ref = SecretRef(IN_SHOP, "db")
    nobody = outside.cluster.kubeconfig_for(f"nobody-{secrets.token_hex(4)}")
    settings = BACKEND.settings_model(kubeconfig=nobody, existing="{project}.{name}#a")
    admin = BACKEND.settings_model(
        kubeconfig=outside.cluster.admin_kubeconfig, existing="{project}.{name}#a", namespace="nowhere-at-all"
    )
    for each, said in ((settings, "has no right to"), (admin, "there is no such namespace|it isn't there")):
        reader = BACKEND.open_reader(each, state=NOWHERE)
        with pytest.raises(Unavailable, match=said):
            reader.resolve([ref])
        reader.close()


def test_paths_are_of_the_template(outside: OutsideKubernetes) -> None:
    assert path("{project}.{name}#a", project="p", name="n") == "p.n"
    for template in ("{organization}/{project}/{name}", "{project}_{name}", "{project}-{name}"):
        with pytest.raises(ValueError, match="existing"):
            BACKEND.settings_model(existing=template)
