"""A store of Kubernetes Secrets in a test cluster, and others who write there."""

from __future__ import annotations

import base64
import copy
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kit import Cluster

from secrets_svc.backends.kubernetes import BACKEND
from secrets_svc.backends.kubernetes.names import object_name
from secrets_svc.backends.kubernetes.versions import KEPT
from secrets_svc.core.abilities import RollsBack
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.api import ApiServer, Object

SCOPE = Scope("flyte", "production", "shop")
#: As Flyte's own service writes it (flyte/v2/secret/service/secret_service.go).
FLYTE_LABELS = {
    "app.flyte.org/managed": "true",
    "app.flyte.org/domain": "production",
    "app.flyte.org/project": "shop",
}


class Store:
    """A store of one namespace, and the namespace as its admin sees it."""

    def __init__(self, cluster: Cluster, namespace: str, kubeconfig: Path | None = None) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.kubeconfig = kubeconfig or cluster.admin_kubeconfig
        self.timeout = 10.0
        self._opened = ExitStack()

    def settings(self, **more: Any) -> Any:
        """Those of the backend, with as many versions as it can keep."""
        known = {
            "kubeconfig": self.kubeconfig,
            "namespace": self.namespace,
            "timeout": self.timeout,
            "versions": KEPT,
        }
        return BACKEND.settings_model(**known | more)

    def writer(self, **more: Any) -> SecretWriter:
        """A new one; ``more`` are settings."""
        writer = BACKEND.open_writer(self.settings(**more), state=self.kubeconfig.parent)
        self._opened.callback(writer.close)
        return writer

    def reader(self, **more: Any) -> SecretReader:
        """A new one; ``more`` are settings."""
        reader = BACKEND.open_reader(self.settings(**more), state=self.kubeconfig.parent)
        self._opened.callback(reader.close)
        return reader

    def close(self) -> None:
        """All that were opened."""
        self._opened.close()

    def path(self, ref: SecretRef | None = None, resource: str = "secrets") -> str:
        """Of a secret's object, or of the collection."""
        group = "/apis/coordination.k8s.io/v1" if resource == "leases" else "/api/v1"
        path = f"{group}/namespaces/{self.namespace}/{resource}"
        return path if ref is None else f"{path}/{object_name(storage_name(ref))}"

    def object(self, ref: SecretRef) -> dict[str, Any]:
        """The whole object of a secret."""
        found: dict[str, Any] = self.cluster.api("GET", self.path(ref)).ok()
        return found

    def leases(self) -> list[dict[str, Any]]:
        """Those of operations."""
        found: list[dict[str, Any]] = self.cluster.api("GET", self.path(resource="leases")).ok()["items"]
        return found

    def put(
        self,
        ref: SecretRef,
        data: Mapping[str, bytes],
        *,
        labels: Mapping[str, str] | None = None,
        manager: str = "somebody",
        **more: Any,
    ) -> dict[str, Any]:
        """An object where the secret's would be, made by somebody else."""
        name = object_name(storage_name(ref))
        body = {
            "metadata": {"name": name, "labels": dict(labels or {}), **more.pop("metadata", {})},
            "data": encoded(data),
            **more,
        }
        made: dict[str, Any] = self.cluster.api("POST", f"{self.path()}?fieldManager={manager}", body).ok()
        return made

    def patch(self, ref: SecretRef, body: Any, *, manager: str = "somebody") -> dict[str, Any]:
        """A merge patch by somebody else."""
        changed: dict[str, Any] = self.cluster.api(
            "PATCH",
            f"{self.path(ref)}?fieldManager={manager}",
            body,
            content_type="application/merge-patch+json",
        ).ok()
        return changed

    def update_as_flyte(self, ref: SecretRef, value: bytes) -> dict[str, Any]:
        """What its service's ``UpdateSecret`` does: gets it, replaces all data, and puts it back."""
        object_ = self.object(ref) | {"data": encoded({storage_name(ref): value})}
        path = f"{self.path(ref)}?fieldManager=flyte"
        changed: dict[str, Any] = self.cluster.api("PUT", path, object_).ok()
        return changed

    def replace_with_kubectl(self, ref: SecretRef, change: Callable[[dict[str, Any]], None]) -> None:
        """What ``kubectl edit`` does: gets it, has it changed, and puts it back."""
        object_ = copy.deepcopy(self.object(ref))
        change(object_)
        self.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(object_))


class Recording:
    """An API server of which every answer is kept.

    :ivar answers: method and path with what came.
    """

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self.answers: list[tuple[str, Object]] = []

    def call(self, method: str, path: str, **more: Any) -> Object:
        answer = self._api.call(method, path, **more)
        self.answers.append((f"{method} {path}", answer))
        return answer

    def close(self) -> None:
        self._api.close()


def encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    """As an object's ``data``."""
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def some_ref(name: str = "", scope: Scope = SCOPE) -> SecretRef:
    """One that no other test uses."""
    return SecretRef(scope, name or f"n-{secrets.token_hex(6)}")


def create(
    writer: SecretWriter, ref: SecretRef, data: bytes = b"value", *, operation_id: str = ""
) -> SecretMetadata:
    return writer.create(
        ref,
        SecretValue(data),
        SecretType.GENERIC,
        actor="tester",
        operation_id=operation_id or secrets.token_hex(8),
    )


def update(
    writer: SecretWriter, ref: SecretRef, data: bytes, *, operation_id: str = "", actor: str = "tester"
) -> SecretMetadata:
    return writer.update(
        ref, SecretValue(data), actor=actor, operation_id=operation_id or secrets.token_hex(8)
    )


def delete(writer: SecretWriter, ref: SecretRef, *, operation_id: str = "") -> None:
    writer.delete(ref, actor="tester", operation_id=operation_id or secrets.token_hex(8))


def rollback(writer: SecretWriter, ref: SecretRef, to: str, *, operation_id: str = "") -> SecretMetadata:
    assert isinstance(writer, RollsBack)
    return writer.rollback(ref, to=to, actor="bob", operation_id=operation_id or secrets.token_hex(8))


def read(reader: SecretReader, ref: SecretRef) -> bytes:
    return reader.read(ref, reader.resolve([ref])[ref].token).value.reveal_bytes()
