"""The kubernetes backend keeps the contract, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from kit import Cluster
from served import ServedHarness
from served_suite import ServedContract

from secrets_svc.backends.kubernetes import BACKEND
from secrets_svc.backends.kubernetes.names import object_name
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.core.secret import SecretRef
from secrets_svc.kube.api import path_of
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import BackendHarness


class KubernetesHarness:
    capabilities: Capabilities = BACKEND.capabilities

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        kubeconfig = cluster.admin_kubeconfig
        self._settings = BACKEND.settings_model(
            kubeconfig=kubeconfig, namespace=namespace, versions=self.capabilities.versions, timeout=20.0
        )
        self._state = kubeconfig.parent
        self._opened = ExitStack()

    def writer(self) -> SecretWriter:
        writer = BACKEND.open_writer(self._settings, state=self._state)
        self._opened.callback(writer.close)
        return writer

    def reader(self) -> SecretReader:
        reader = BACKEND.open_reader(self._settings, state=self._state)
        self._opened.callback(reader.close)
        return reader

    def bring_back(self, ref: SecretRef) -> bool:
        path = path_of("v1", "secrets", self._settings.namespace, object_name(storage_name(ref)))
        return bool(self._cluster.api("GET", path).status == 200)

    def reopen(self) -> None:
        self._opened.close()

    close = reopen


@pytest.fixture(scope="module")
def shared_namespace(cluster: Cluster) -> str:
    """One for all: tests keep to organizations of their own."""
    return cluster.namespace()


@pytest.fixture
def harness(cluster: Cluster, shared_namespace: str) -> Iterator[KubernetesHarness]:
    harness = KubernetesHarness(cluster, shared_namespace)
    yield harness
    harness.close()


class TestContract(BackendContract):
    """At the port."""


class TestServed(ServedContract):
    @pytest.fixture
    def harness(self, harness: BackendHarness) -> ServedHarness:
        return ServedHarness(harness)
