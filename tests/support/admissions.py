"""For tests of the injector: pods, reviews, a reader that counts, a handler around it."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import jsonpatch

from injector.delivery.memory import InMemoryStaging
from injector.dialects import Dialect, ours
from injector.handler import AdmissionHandler
from injector.proofs import NamespaceMap
from injector.requests import Claim, SecretRequest
from injector.trust import Proof
from secrets_svc.core.audit import AuditEvent, AuditSink
from secrets_svc.core.errors import Changed, InvalidArgument, SecretsError
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.store_reading import ReadingOptions, StoreReading

REQUEST = "secrets-svc.internal/request"
STATUS = "secrets-svc.internal/status"
FILES = "/var/run/secrets/secrets-svc"
NAMESPACE = "shop-production"
SHOP = Scope("flyte", "production", "shop")
NAMESPACE_IS_SHOP = (NamespaceMap("flyte", {NAMESPACE: Claim("shop", "production")}),)


class RecordingReader:
    """A store in a dict that counts its calls and can be made to fail.

    ``failing`` is raised by every call; ``before_read`` runs before each read.
    """

    def __init__(self) -> None:
        self.values: dict[SecretRef, tuple[str, bytes]] = {}
        self.types: dict[SecretRef, SecretType] = {}
        self.resolves = 0
        self.reads = 0
        self.failing: SecretsError | None = None
        self.before_read: Callable[[], None] = lambda: None
        self._tokens = 0

    def put(
        self, name: str, value: bytes, scope: Scope = SHOP, type: SecretType = SecretType.GENERIC
    ) -> None:
        """Write ``value``; each write has its own token."""
        self._tokens += 1
        ref = SecretRef(scope, name)
        self.values[ref] = (f"token-{self._tokens}", value)
        self.types[ref] = type

    @property
    def calls(self) -> int:
        """Of any kind."""
        return self.resolves + self.reads

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """See ``SecretReader``."""
        self.resolves += 1
        if self.failing is not None:
            raise self.failing
        found = {ref: self.values[ref] for ref in refs if ref in self.values}
        return {
            ref: Resolved(ref, token, self.types[ref], len(value)) for ref, (token, value) in found.items()
        }

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """See ``SecretReader``."""
        self.reads += 1
        self.before_read()
        if self.failing is not None:
            raise self.failing
        current, value = self.values[ref]
        if current != token:
            raise Changed("it changed")
        return SecretVersion(ref, token, self.types[ref], SecretValue(value))

    def close(self) -> None:
        """Nothing to close."""


class AuditList(list[AuditEvent], AuditSink):
    """Audit events in a list."""

    failing: SecretsError | None = None

    def record_all(self, events: Sequence[AuditEvent]) -> None:
        """See ``AuditSink``."""
        if self.failing is not None:
            raise self.failing
        self.extend(events)


class Kit:
    """A handler with everything around it in reach."""

    def __init__(
        self,
        *,
        inline: bool = True,
        deadline: float = 5.0,
        last_known_good: float = 0.0,
        dialects: Sequence[Dialect] = (ours,),
        proofs: Sequence[Proof] | None = None,
        pulls: Sequence[SecretRequest] = (),
    ) -> None:
        self.reader = RecordingReader()
        self.audit = AuditList()
        self.staging = InMemoryStaging(keep_values=True)
        options = ReadingOptions(inline=inline, deadline=deadline * 0.8, last_known_good=last_known_good)
        self.now = 1000.0
        store = StoreReading(
            store="local",
            reader=self.reader,
            options=options,
            clock=lambda: self.now,
            wall=lambda: self.now,
        )
        self.reading = ScopedReading.of(store)
        self.handler = AdmissionHandler(
            reading=self.reading,
            staging=self.staging,
            dialects=dialects,
            proofs=NAMESPACE_IS_SHOP if proofs is None else proofs,
            pulls=pulls,
            audit=self.audit,
            deadline=deadline,
        )

    def send(self, body: bytes) -> dict[str, Any]:
        """The response to a review in bytes."""

        async def answer() -> bytes:
            [reply] = self.handler.answer([body])
            if isinstance(reply, InvalidArgument):
                raise reply
            return await reply if isinstance(reply, Awaitable) else reply

        review = json.loads(asyncio.run(answer()))
        assert review["kind"] == "AdmissionReview"
        response: dict[str, Any] = review["response"]
        return response

    def admit(self, pod_: dict[str, Any], **request: Any) -> dict[str, Any]:
        """The response to a pod."""
        return self.send(review(pod_, **request))

    def mutate(self, pod_: dict[str, Any], **request: Any) -> dict[str, Any]:
        """The pod as it becomes; it must be let in."""
        response = self.admit(pod_, **request)
        assert response["allowed"], response["status"]["message"]
        return apply(pod_, response)

    def refusal(self, pod_: dict[str, Any], **request: Any) -> tuple[int, str]:
        """Status and message; the pod must not be let in."""
        response = self.admit(pod_, **request)
        assert not response["allowed"]
        assert "patch" not in response
        return response["status"]["code"], response["status"]["message"]


def patch_of(response: dict[str, Any]) -> list[dict[str, Any]]:
    """The operations of a response."""
    operations: list[dict[str, Any]] = (
        json.loads(base64.b64decode(response["patch"])) if "patch" in response else []
    )
    return operations


def apply(pod_: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """``pod_`` with the response's patch applied."""
    patched: dict[str, Any] = jsonpatch.apply_patch(copy.deepcopy(pod_), patch_of(response))
    return patched


def pod(
    requests: object = None, *, containers: list[dict[str, Any]] | None = None, **spec: Any
) -> dict[str, Any]:
    """A pod that asks for ``requests`` (a list, or the annotation's text)."""
    annotations = {}
    if requests is not None:
        annotations[REQUEST] = requests if isinstance(requests, str) else json.dumps(requests)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "task", "annotations": annotations},
        "spec": {"containers": containers or [{"name": "main", "image": "task:1"}], **spec},
    }


def review(pod_: object, *, api_version: str = "admission.k8s.io/v1", **request: Any) -> bytes:
    """An AdmissionReview as the API server sends it; ``request`` overrides its fields."""
    body = {
        "apiVersion": api_version,
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": NAMESPACE,
            "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
            "object": pod_,
            **request,
        },
    }
    return json.dumps(body).encode()
