"""A store behind the whole service: its writer is the REST API, its reader the admission webhook.

Each organization has an installation of its own, since an installation serves one. No sockets.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple, cast
from urllib.parse import quote, urlencode

from admissions import AuditList, apply, pod, review
from asgi import Exchange

from injector.delivery.memory import InMemoryStaging
from injector.dialects import ours
from injector.handler import AdmissionHandler
from injector.proofs import NamespaceMap
from injector.requests import Claim
from secrets_svc.client import answers
from secrets_svc.client.wire import Answer
from secrets_svc.control.service import ControlPlane
from secrets_svc.core.abilities import KeepsHistory, ReadsVersions, RollsBack, VersionInfo
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound, SecretsError, Unavailable
from secrets_svc.core.policy import Binding, Policy, Role
from secrets_svc.core.ports import (
    Capabilities,
    Fits,
    Page,
    Resolved,
    SecretReader,
    SecretVersion,
    SecretWriter,
)
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.retrying import RetryingWriter
from secrets_svc.data.store_reading import ReadingOptions, StoreReading
from secrets_svc.data.writing import RoutedWriter, ValidatedWriter
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.gate.gate import Gate
from secrets_svc.edges.rest.app import build_api
from secrets_svc.edges.rest.manners import RestManners
from secrets_svc.testing.harness import ACTOR, BackendHarness

TOKEN = secrets.token_urlsafe(32)
NAMESPACE = "of-the-test"
STATUS = "secrets-svc.internal/status"
#: Requests in one pod.
_AT_ONCE = 256


class _Installation(NamedTuple):
    """What differs between one organization's API and another's."""

    organization: str
    control: ControlPlane


_CURRENT: ContextVar[_Installation] = ContextVar("installation")
_BUILDING = threading.Lock()


class _Control:
    """The control plane of whoever asks: building an application takes longer than most tests."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_CURRENT.get().control, name)


class _State:
    """Of the application, likewise."""

    @property
    def organization(self) -> str:
        return _CURRENT.get().organization


@cache
def _built() -> Gate:
    api = build_api(control=cast("ControlPlane", _Control()), organization="nobody")
    api.state = cast("Any", _State())
    authenticator = TokenAuthenticator({ACTOR: SecretValue(TOKEN.encode())})
    return Gate(api, manners=RestManners(authenticator), record=AuditList().record)


def _app() -> Gate:
    with _BUILDING:
        return _built()


class ServedHarness:
    """See :class:`secrets_svc.testing.harness.BackendHarness`.

    :param store: the harness of the store itself.
    """

    def __init__(self, store: BackendHarness) -> None:
        self._store = store
        self._opened = ExitStack()
        self.capabilities: Capabilities = store.capabilities

    def writer(self) -> SecretWriter:
        """The API, with a writer of its own behind it."""
        inner: SecretWriter = self._store.writer()
        kind = RollingWriter if isinstance(inner, RollsBack) else HistoryWriter
        kind = kind if isinstance(inner, KeepsHistory) else RestWriter
        if not self.capabilities.inline:
            inner = RetryingWriter(store="main", writer=inner, at_once=8)
        made = kind(ValidatedWriter(writer=inner, capabilities=self.capabilities, store="main"))
        self._opened.callback(made.close)
        return made

    def reader(self) -> SecretReader:
        """The webhook, with a reader of its own behind it."""
        inner = self._store.reader()
        kind = VersionedReader if isinstance(inner, ReadsVersions) else AdmissionReader
        made = kind(inner, ReadingOptions(inline=self.capabilities.inline, deadline=30))
        self._opened.callback(made.close)
        return made

    def reopen(self) -> None:
        """See the port."""
        self._opened.close()
        self._store.reopen()


class RestWriter:
    """A :class:`SecretWriter` whose calls are requests."""

    def __init__(self, writer: ValidatedWriter) -> None:
        self._data_plane = RoutedWriter.of(writer)

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See the port."""
        assert actor == ACTOR
        body = {"name": ref.name, **_where(ref.scope), "type": type.value, "value": _value(value)}
        answer = self._send("POST", "/v1/secrets", ref.scope, body=body, key=operation_id)
        return answers.metadata(answer, "here")

    def update(
        self,
        ref: SecretRef,
        value: SecretValue,
        *,
        actor: str,
        operation_id: str,
        expected: str | None = None,
        fits: Fits | None = None,
    ) -> SecretMetadata:
        """See the port; what fits is the service's own business."""
        assert (actor, fits) == (ACTOR, None)
        body, path = {"value": _value(value)}, f"/v1/secrets/{quote(ref.name)}"
        answer = self._send("PUT", path, ref.scope, body=body, key=operation_id, expected=expected)
        return answers.metadata(answer, "here")

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See the port."""
        assert actor == ACTOR
        self._send("DELETE", f"/v1/secrets/{quote(ref.name)}", ref.scope, key=operation_id)

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See the port."""
        return answers.metadata(self._send("GET", f"/v1/secrets/{quote(ref.name)}", ref.scope), "here")

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See the port."""
        query = {"exact": str(exact).lower(), "limit": str(limit)} | (
            {} if cursor is None else {"cursor": cursor}
        )
        items, following = answers.page(self._send("GET", "/v1/secrets", within, query=query), "here")
        return Page(items, following)

    def close(self) -> None:
        """See the port."""
        self._data_plane.close()

    def _send(
        self,
        method: str,
        path: str,
        scope: Scope,
        *,
        body: Any = None,
        query: dict[str, str] | None = None,
        key: str | None = None,
        expected: str | None = None,
    ) -> dict[str, Any]:
        headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
        if key is not None:
            headers.append((b"idempotency-key", key.encode()))
        if expected is not None:
            headers.append((b"if-match", f'"{expected}"'.encode()))
        target = path
        if method != "POST":
            target += "?" + urlencode({**_where(scope), **(query or {})})
        data = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            headers += [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
        exchange = Exchange(headers, [data], method, target)
        policy = Policy([Binding(ACTOR, Role.ADMIN, Scope(scope.organization))])
        control = ControlPlane(policy=policy, data_plane=self._data_plane, audit=AuditList())
        before = _CURRENT.set(_Installation(scope.organization, control))
        try:
            status, found, text = exchange.through(_app())
        finally:
            _CURRENT.reset(before)
        if status == 204:
            return {}
        return answers.document(Answer(status, found, text), "here")


class HistoryWriter(RestWriter):
    """… of a store that keeps versions."""

    def history(self, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """See :class:`~secrets_svc.core.abilities.KeepsHistory`."""
        path = f"/v1/secrets/{quote(ref.name)}/versions"
        return answers.history(self._send("GET", path, ref.scope, query={"limit": str(limit)}), "here")


class RollingWriter(HistoryWriter):
    """… and can go back."""

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :class:`~secrets_svc.core.abilities.RollsBack`."""
        assert actor == ACTOR
        path = f"/v1/secrets/{quote(ref.name)}/rollback?{urlencode(_where(ref.scope))}"
        body = {"to": to}
        answer = self._send("POST", path, ref.scope, body=body, key=operation_id, expected=expected)
        return answers.metadata(answer, "here")


class AdmissionReader:
    """A :class:`SecretReader` whose calls are pods that ask."""

    def __init__(self, reader: SecretReader, options: ReadingOptions) -> None:
        self._reading = ScopedReading.of(StoreReading(store="main", reader=reader, options=options))
        self._lock = threading.Lock()

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """What pods of the very scopes get from there, and not from wider ones."""
        found: dict[SecretRef, Resolved] = {}
        by_scope: dict[Scope, list[str]] = {}
        for ref in refs:
            by_scope.setdefault(ref.scope, []).append(ref.name)
        for scope, names in by_scope.items():
            for start in range(0, len(names), _AT_ONCE):
                for ref, token, _ in self._admit(scope, names[start : start + _AT_ONCE]):
                    found[ref] = Resolved(ref, token, SecretType.GENERIC)
        return found

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """What is staged for a pod that asks now."""
        for at, version, value in self._admit(ref.scope, [ref.name]):
            assert at == ref
            if version != token:
                raise Changed(f"secret {ref} has changed")
            return SecretVersion(ref, version, SecretType.GENERIC, value)
        raise NotFound(f"there is no secret {ref}")

    def close(self) -> None:
        """See the port."""
        self._reading.close()

    def _admit(
        self, scope: Scope, names: list[str], **more: object
    ) -> list[tuple[SecretRef, str, SecretValue]]:
        more = more or {"optional": True}
        asked = [{"name": name, "file": f"f{at}", **more} for at, name in enumerate(names)]
        staging = InMemoryStaging(keep_values=True)
        handler = AdmissionHandler(
            reading=self._reading,
            staging=staging,
            dialects=[ours],
            proofs=[NamespaceMap(scope.organization, {NAMESPACE: Claim(scope.project, scope.domain)})],
            audit=AuditList(),
            deadline=30.0,
        )
        before = pod(asked)
        with self._lock:
            response = asyncio.run(_answer(handler, review(before, namespace=NAMESPACE)))
        if not response["allowed"]:
            raise _refused(response["status"])
        return _received(apply(before, response), scope, staging)


class VersionedReader(AdmissionReader):
    """… of a store that keeps versions: pods pin them."""

    def resolve_version(self, ref: SecretRef, version: str) -> Resolved:
        """See :class:`~secrets_svc.core.abilities.ReadsVersions`."""
        return Resolved(ref, self.read_version(ref, version).token, SecretType.GENERIC)

    def read_version(self, ref: SecretRef, version: str) -> SecretVersion:
        """See :class:`~secrets_svc.core.abilities.ReadsVersions`."""
        [(at, token, value)] = self._admit(ref.scope, [ref.name], version=version)
        return SecretVersion(at, token, SecretType.GENERIC, value)


async def _answer(handler: AdmissionHandler, body: bytes) -> dict[str, Any]:
    [reply] = handler.answer([body])
    if isinstance(reply, Exception):
        raise reply
    text = reply if isinstance(reply, bytes) else await reply
    response: dict[str, Any] = json.loads(text)["response"]
    return response


def _received(
    mutated: dict[str, Any], scope: Scope, staging: InMemoryStaging
) -> list[tuple[SecretRef, str, SecretValue]]:
    assert staging.values is not None
    by_path = {
        item["path"]: source["secret"]["name"]
        for volume in mutated["spec"].get("volumes", [])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    told = json.loads(mutated["metadata"]["annotations"].get(STATUS, "[]"))
    return [
        (SecretRef(scope, entry["name"]), entry["version"], staging.values[by_path[entry["file"]]])
        for entry in told
        if entry.get("scope") == str(scope)
    ]


def _refused(status: dict[str, Any]) -> SecretsError:
    kinds = {kind.code: kind for kind in (NotFound, InvalidArgument)}
    return kinds.get(status["reason"], Unavailable)(status["message"])


def _where(scope: Scope) -> dict[str, str]:
    parts = {"organization": scope.organization, "domain": scope.domain, "project": scope.project}
    return {name: part for name, part in parts.items() if part is not None}


def _value(value: SecretValue) -> dict[str, str]:
    return {"base64": base64.b64encode(value.reveal_bytes()).decode()}
