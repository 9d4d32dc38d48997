"""A store of Kubernetes Secrets, as it is and behind a proxy that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import Cluster
from kubernetes_store import Store
from unreliable import Unreliable


@pytest.fixture(scope="module")
def shared_namespace(cluster: Cluster) -> Iterator[str]:
    """One for the tests of a module."""
    made = cluster.namespace()
    yield made
    cluster.api("DELETE", f"/api/v1/namespaces/{made}")


@pytest.fixture
def store(cluster: Cluster, shared_namespace: str) -> Iterator[Store]:
    """Tests share the namespace: each uses names of its own."""
    made = Store(cluster, shared_namespace)
    yield made
    made.close()


@pytest.fixture
def own_store(cluster: Cluster, namespace: str) -> Iterator[Store]:
    """In a namespace of this test's own."""
    made = Store(cluster, namespace)
    yield made
    made.close()


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Iterator[Unreliable]:
    """Before the API server; fails as it is told."""
    with Unreliable(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def account_kubeconfig(cluster: Cluster, shared_namespace: str) -> Path:
    """Of a service account that may do everything there: a token passes the proxy, a certificate doesn't."""
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{shared_namespace}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": shared_namespace}
    cluster.api("POST", rights, {"metadata": {"name": "all"}, "roleRef": role, "subjects": [subject]}).ok()
    return cluster.kubeconfig_with(cluster.token(shared_namespace, seconds=3600))


@pytest.fixture
def troubled(
    cluster: Cluster, proxy: Unreliable, shared_namespace: str, account_kubeconfig: Path
) -> Iterator[Store]:
    """The store of ``store``, seen through the proxy."""
    made = Store(cluster, shared_namespace, proxy.kubeconfig(account_kubeconfig))
    yield made
    made.close()
