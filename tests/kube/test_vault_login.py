"""A store in Vault whose sides log in as pods do: service account tokens, reviewed by a real API server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bao import Bao
from kit import Cluster

from secrets_svc.backends.vault.backend import BACKEND
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.errors import Unavailable
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

REF = SecretRef(Scope("flyte", "production", "shop"), "db-password")
NOWHERE = Path("/nowhere")


@pytest.fixture
def bao(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Bao]:
    """It asks the API server about tokens, with an account that may do that."""
    binding = {
        "metadata": {"name": f"reviews-{namespace}"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:auth-delegator",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    cluster.api("POST", path, binding).ok()
    with Bao(tmp_path) as server:
        server.call("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        config = {
            "kubernetes_host": cluster.layout.server,
            "kubernetes_ca_cert": cluster.ca_file.read_text(),
            "token_reviewer_jwt": cluster.token(namespace, seconds=3600),
            "disable_iss_validation": True,
        }
        server.call("POST", "auth/kubernetes/config", config)
        yield server
    cluster.api("DELETE", f"{path}/reviews-{namespace}")


def account(cluster: Cluster, namespace: str, name: str, folder: Path) -> Path:
    """A service account, and a file with its token, as the kubelet puts it into a pod."""
    collection = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    cluster.api("POST", collection, {"metadata": {"name": name}}).ok()
    file = folder / f"{name}.jwt"
    file.write_text(cluster.token(namespace, name))
    return file


def test_each_side_logs_in_as_its_service_account(
    cluster: Cluster, namespace: str, bao: Bao, tmp_path: Path
) -> None:
    sides: dict[str, Any] = {}
    plain = {"address": bao.address, "login": {"method": "token", "token": "unused"}}
    for side in ("writer", "reader"):
        bao.policy(side, BACKEND.policy(VaultSettings.model_validate(plain), role=side))  # type: ignore[attr-defined]
        role = {
            "bound_service_account_names": [f"secrets-svc-{side}"],
            "bound_service_account_namespaces": [namespace],
            "token_policies": [side],
            "token_ttl": "1h",
        }
        bao.call("POST", f"auth/kubernetes/role/{side}", role)
        file = account(cluster, namespace, f"secrets-svc-{side}", tmp_path)
        sides[side] = {"method": "kubernetes", "role": side, "jwt_file": str(file)}
    settings = VaultSettings.model_validate({"address": bao.address, **sides})
    writer = BACKEND.open_writer(settings, state=NOWHERE)
    reader = BACKEND.open_reader(settings, state=NOWHERE)
    made = writer.create(
        REF, SecretValue(b"value"), SecretType.GENERIC, actor="ann", operation_id=secrets.token_hex(8)
    )
    assert reader.read(REF, made.version).value.reveal_bytes() == b"value"
    writer.close()
    reader.close()
    swapped = {
        "writer": {**sides["writer"], "jwt_file": sides["reader"]["jwt_file"]},
        "reader": sides["reader"],
    }
    other = BACKEND.open_writer(
        VaultSettings.model_validate({"address": bao.address, **swapped}), state=NOWHERE
    )
    with pytest.raises(Unavailable, match='does not let us in by "kubernetes"'):
        other.describe(REF)
    other.close()
