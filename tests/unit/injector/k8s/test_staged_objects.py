"""What is staged, as the API server gets it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from injector.fit import misfit
from injector.k8s.staging import ClusterStaging, secret_object
from injector.requests import SecretRequest
from injector.trust import NamespaceFacts
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.informer import Metadata

DOCKER = b'{"auths": {"r.example": {"auth": "dTpw"}}}'
REF = SecretRef(Scope("flyte"), "registry")
LEASE = Metadata.of({"metadata": {"name": "ss-lease", "namespace": "n", "uid": "u", "resourceVersion": "1"}})


def staged(type: SecretType, value: bytes, field: str | None = None) -> dict[str, Any]:
    resolved = Resolved(REF, "v1", type, field=field)
    return secret_object("ss-x", LEASE, resolved, SecretVersion(REF, "v1", type, SecretValue(value)))


@pytest.mark.parametrize(
    ("type", "field", "kind", "key"),
    [
        (SecretType.GENERIC, None, "secrets-svc.internal/staged", "value"),
        (SecretType.IMAGE_PULL, None, "kubernetes.io/dockerconfigjson", ".dockerconfigjson"),
        (SecretType.IMAGE_PULL, "auths", "secrets-svc.internal/staged", "value"),
    ],
)
def test_the_kind_of_secret_says_what_it_is_for(
    type: SecretType, field: str | None, kind: str, key: str
) -> None:
    made = staged(type, DOCKER, field)
    assert made["type"] == kind
    assert made["data"] == {key: base64.b64encode(DOCKER).decode()}
    assert made["immutable"] is True


class _Namespaces:
    def known(self, name: str) -> NamespaceFacts:
        return NamespaceFacts(name, "uid")

    async def look(self, name: str) -> NamespaceFacts:
        return self.known(name)


@pytest.mark.parametrize("value", [b"not json", b"{}", b'{"auths": {}}', b'{"auths": {"r": "x"}}'])
def test_what_somebody_wrote_past_us_and_pulls_nothing_is_staged_nowhere(value: bytes) -> None:
    calls: list[Any] = []

    async def call(*arguments: Any, **fields: Any) -> dict[str, Any]:
        calls.append((arguments, fields))
        raise AssertionError("no call is due")

    async def read(resolved: Resolved) -> SecretVersion:
        return SecretVersion(REF, resolved.token, resolved.type, SecretValue(value))

    staging = ClusterStaging(call, _Namespaces(), store_of=lambda scope: "main", key=b"k" * 32, holder="us")
    resolved = Resolved(REF, "v1", SecretType.IMAGE_PULL)
    staged_ = asyncio.run(staging.stage("n", resolved, read))
    assert staged_.facts.objection is not None
    assert misfit(SecretRequest("registry", env="R"), staged_) is not None
    assert not calls
    assert staging.staged("n", resolved) is None
