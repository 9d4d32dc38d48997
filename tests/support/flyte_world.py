"""The edge for Flyte's clients on a store in memory, called without a network."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from admissions import AuditList
from asgi import Exchange
from flyteidl2.secret import definition_pb2 as definition
from flyteidl2.secret import payload_pb2 as payload
from google.protobuf.message import Message

from secrets_svc.backends.memory import MemoryStore
from secrets_svc.control.service import ControlPlane
from secrets_svc.core.policy import Binding, Policy, Role
from secrets_svc.core.ports import Capabilities, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef
from secrets_svc.core.value import SecretValue
from secrets_svc.data.writing import RoutedWriter, ValidatedWriter
from secrets_svc.edges.flyte.app import build_flyte_app
from secrets_svc.edges.gate.authentication import TokenAuthenticator

TOKEN = "t" * 32
AUTHORIZED = (b"authorization", b"Bearer " + TOKEN.encode())
SECRETS = "/flyteidl2.secret.SecretService/"
CLUSTERS = "/flyteidl2.cluster.ClusterService/SelectCluster"
LOGIN = "/flyteidl2.auth.AuthMetadataService/"


@dataclass(frozen=True)
class Said:
    """An answer: HTTP status, code of Connect or number of gRPC, its text, the message it has."""

    status: int
    code: str
    text: str
    body: bytes
    headers: dict[str, str]

    def read(self, kind: Callable[[], Any]) -> Any:
        """The message in it."""
        assert self.code == "", (self.code, self.text)
        message = kind()
        message.ParseFromString(self.body)
        return message


@dataclass(frozen=True)
class _Failing:
    """A writer whose every method fails."""

    error: Exception

    def __getattr__(self, name: str) -> Any:
        raise self.error


class FlyteWorld:
    """The edge, its trail, and ways to call it as its admin.

    :param failing: what the store fails with, whatever is asked.
    """

    def __init__(
        self,
        *,
        anonymous: str | None = None,
        public_url: str | None = None,
        failing: Exception | None = None,
    ) -> None:
        self.trail = AuditList()
        self.store = MemoryStore()
        own = self.store.writer() if failing is None else cast(SecretWriter, _Failing(failing))
        writer = ValidatedWriter(writer=own, capabilities=Capabilities(max_value=1 << 20), store="memory")
        policy = Policy(
            [Binding("alice", Role.ADMIN, Scope("flyte")), Binding("eve", Role.VIEWER, Scope("flyte"))]
        )
        self.authenticator = TokenAuthenticator({"alice": SecretValue(TOKEN.encode())})
        self.app = build_flyte_app(
            control=ControlPlane(policy=policy, data_plane=RoutedWriter.of(writer), audit=self.trail),
            organization="flyte",
            cluster="main",
            authenticator=self.authenticator,
            anonymous=anonymous,
            public_url=public_url,
            token_path="/oauth2/token",
            token_scope="all",
            record=self.trail.record,
            body_deadline=5.0,
        )

    def send(
        self,
        path: str,
        body: bytes = b"",
        *headers: tuple[bytes, bytes],
        content_type: bytes = b"application/proto",
        method: str = "POST",
    ) -> Said:
        """What the bytes are answered with, over Connect. Credentials come from ``headers`` alone."""
        kind = ((b"content-type", content_type),) if content_type else ()
        exchange = Exchange([*kind, *headers], [body], method, path)
        status, found, answer = exchange.through(self.app)
        if status == 200:
            return Said(status, "", "", answer, found)
        error = json.loads(answer)
        return Said(status, error["code"], error["message"], answer, found)

    def call(self, path: str, message: Message, *headers: tuple[bytes, bytes]) -> Said:
        """What ``message`` is answered with: over Connect, packed, as the client sends it."""
        packed = gzip.compress(message.SerializeToString(), mtime=0)
        usual = () if any(name == b"authorization" for name, _ in headers) else (AUTHORIZED,)
        return self.send(path, packed, *usual, (b"content-encoding", b"gzip"), *headers)

    def grpc(self, path: str, body: bytes, *headers: tuple[bytes, bytes]) -> Said:
        """What ``body``, a whole one with its frame, is answered with over gRPC."""
        usual = () if any(name == b"authorization" for name, _ in headers) else (AUTHORIZED,)
        exchange = Exchange(
            [(b"content-type", b"application/grpc"), *usual, *headers], [body], "POST", path, trailers=True
        )
        status, found, answer = exchange.through(self.app)
        trailers = exchange.sent_trailers
        number = trailers["grpc-status"]
        return Said(
            status, "" if number == "0" else number, trailers.get("grpc-message", ""), answer[5:], found
        )

    def create(self, name: str, value: bytes | str = b"v", *, type: int = 0, **scope: str) -> Said:
        """Create a secret."""
        return self.call(SECRETS + "CreateSecret", created(name, value, type=type, **scope))

    def page(self, **fields: Any) -> payload.ListSecretsResponse:
        """One page of a listing."""
        said = self.call(SECRETS + "ListSecrets", payload.ListSecretsRequest(**fields))
        return said.read(payload.ListSecretsResponse)

    def names(self, **fields: Any) -> list[str]:
        """All names of a listing, page by page."""
        found: list[str] = []
        token = ""
        while True:
            page = self.page(token=token, **fields)
            found += [each.id.name for each in page.secrets]
            token = page.token
            if not token:
                return found

    def value(self, name: str, *, domain: str | None = None, project: str | None = None) -> bytes:
        """What the store has."""
        ref = SecretRef(Scope("flyte", domain, project), name)
        reader = self.store.reader()
        return reader.read(ref, reader.resolve([ref])[ref].token).value.reveal_bytes()


def created(name: str, value: bytes | str, *, type: int = 0, **scope: str) -> payload.CreateSecretRequest:
    """The message that creates a secret."""
    return payload.CreateSecretRequest(id=identified(name, **scope), secret_spec=spec_of(value, type))


def updated(name: str, value: bytes | str, *, type: int = 0, **scope: str) -> payload.UpdateSecretRequest:
    """The message that replaces a value."""
    return payload.UpdateSecretRequest(id=identified(name, **scope), secret_spec=spec_of(value, type))


def identified(name: str, **scope: str) -> definition.SecretIdentifier:
    """A full name."""
    return definition.SecretIdentifier(name=name, **scope)


def spec_of(value: bytes | str, type: int) -> definition.SecretSpec:
    """A value, as text or as bytes. Any number can be a type."""
    kind = {"string_value": value} if isinstance(value, str) else {"binary_value": value}
    spec = definition.SecretSpec(**kind)
    spec.type = type
    return spec


def framed(message: bytes, *, packed: bool = False) -> bytes:
    """A message in a frame of gRPC."""
    data = gzip.compress(message, mtime=0) if packed else message
    return bytes([packed]) + len(data).to_bytes(4, "big") + data
