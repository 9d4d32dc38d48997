"""Requests for a version, or for one field of a document."""

from __future__ import annotations

import json

import pytest
from admissions import SHOP, STATUS, Kit, RecordingReader, pod, review

from injector.delivery.memory import InMemoryStaging
from injector.dialects import ours
from injector.handler import AdmissionHandler
from injector.k8s.names import lease_name
from injector.proofs import NamespaceMap
from injector.requests import Claim
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound, SecretsError, Unavailable
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.reading import ScopedReading
from secrets_svc.data.store_reading import ReadingOptions, StoreReading


class DocumentReader(RecordingReader):
    """Keeps every version, and its values may be documents."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[SecretRef, str], bytes] = {}
        self.versions_asked = 0

    def put(self, name: str, value: bytes, scope: Scope = SHOP) -> None:
        super().put(name, value, scope)
        ref = SecretRef(scope, name)
        token, _ = self.values[ref]
        self.kept[ref, token] = value

    def resolve_version(self, ref: SecretRef, version: str) -> Resolved:
        self.versions_asked += 1
        if self.failing is not None:
            raise self.failing
        if (ref, version) not in self.kept:
            raise NotFound("no such version")
        return Resolved(ref, version, SecretType.GENERIC)

    def read_version(self, ref: SecretRef, version: str) -> SecretVersion:
        self.resolve_version(ref, version)
        return SecretVersion(ref, version, SecretType.GENERIC, SecretValue(self.kept[ref, version]))

    def read_field(self, ref: SecretRef, token: str, field: str) -> SecretVersion:
        whole = self.read(ref, token)
        found = json.loads(whole.value.reveal_bytes()).get(field)
        if not isinstance(found, str):
            raise InvalidArgument(f'it has no field "{field}"')
        return SecretVersion(ref, token, whole.type, SecretValue(found.encode()))


class SelectingKit(Kit):
    """A :class:`Kit` over a :class:`DocumentReader`."""

    reader: DocumentReader

    def __init__(self, *, inline: bool = True) -> None:
        super().__init__()
        self.reader = DocumentReader()
        self.staging = InMemoryStaging(keep_values=True)
        store = StoreReading(store="local", reader=self.reader, options=ReadingOptions(inline=inline))
        self.reading = ScopedReading.of(store)
        self.handler = AdmissionHandler(
            reading=self.reading,
            staging=self.staging,
            dialects=[ours],
            proofs=[NamespaceMap("flyte", {"shop-production": Claim("shop", "production")})],
            audit=self.audit,
            deadline=5.0,
        )

    def env(self, requests: object) -> dict[str, bytes]:
        """What the variables of a pod that asks for ``requests`` come to."""
        assert self.staging.values is not None
        [container] = self.mutate(pod(requests))["spec"]["containers"]
        return {
            each["name"]: self.staging.values[each["valueFrom"]["secretKeyRef"]["name"]].reveal_bytes()
            for each in container["env"]
        }


@pytest.fixture(params=[True, False], ids=["inline", "in threads"])
def kit(request: pytest.FixtureRequest) -> SelectingKit:
    return SelectingKit(inline=request.param)


def test_a_pinned_version_stays_whatever_is_written(kit: SelectingKit) -> None:
    kit.reader.put("key", b"old")
    asked = [
        {"name": "key", "env": "PINNED", "version": "token-1"},
        {"name": "key", "env": "CURRENT"},
    ]
    assert kit.env(asked) == {"PINNED": b"old", "CURRENT": b"old"}
    assert kit.reader.versions_asked == 0  # it was the current one
    kit.reader.put("key", b"new")
    assert kit.env(asked) == {"PINNED": b"old", "CURRENT": b"new"}
    assert kit.env(asked) == {"PINNED": b"old", "CURRENT": b"new"}
    assert kit.reader.reads == 2  # each version's value once


def test_a_pinned_version_is_looked_for_each_time(kit: SelectingKit) -> None:
    kit.reader.put("key", b"old")
    kit.reader.put("key", b"new")
    asked = pod([{"name": "key", "env": "PINNED", "version": "token-1"}])
    kit.mutate(asked)
    del kit.reader.kept[SecretRef(SHOP, "key"), "token-1"]  # expired
    code, message = kit.refusal(asked)
    assert code == 400
    assert message.startswith('secret "key" (env PINNED): not_found; there is no such secret, or its value')
    assert "secret history" in message


def test_an_optional_version_may_be_gone(kit: SelectingKit) -> None:
    kit.reader.put("key", b"new")
    response = kit.admit(pod([{"name": "key", "version": "other", "optional": True}]))
    assert response["allowed"]
    assert response["warnings"] == ['optional secret "key" (env KEY) is absent']


def test_a_failure_to_look_for_a_version_is_never_its_absence(kit: SelectingKit) -> None:
    kit.reader.put("key", b"old")

    def resolve_version(ref: SecretRef, version: str) -> Resolved:
        raise Unavailable("away")

    kit.reader.resolve_version = resolve_version  # type: ignore[method-assign]
    code, message = kit.refusal(pod([{"name": "key", "version": "other", "optional": True}]))
    assert (code, "unavailable" in message) == (503, True)


def test_the_narrowest_secret_wins_before_its_version_is_looked_for(kit: SelectingKit) -> None:
    kit.reader.put("key", b"wide", Scope("flyte"))
    kit.reader.put("key", b"narrow")
    code, message = kit.refusal(pod([{"name": "key", "version": "token-1"}]))
    assert (code, "not_found" in message) == (400, True)


def test_fields_of_one_document_are_staged_each_by_itself(kit: SelectingKit) -> None:
    kit.reader.put("database", b'{"user": "u", "password": "p"}')
    asked = [
        {"name": "database", "env": "DB_USER", "field": "user"},
        {"name": "database", "env": "DB_PASSWORD", "field": "password"},
        {"name": "database", "env": "ALL"},
    ]
    assert kit.env(asked) == {
        "DB_USER": b"u",
        "DB_PASSWORD": b"p",
        "ALL": b'{"user": "u", "password": "p"}',
    }
    reads = kit.reader.reads
    kit.env(asked)
    assert kit.reader.reads == reads  # staged already
    mutated = kit.mutate(pod(asked))
    told = json.loads(mutated["metadata"]["annotations"][STATUS])
    assert [entry.get("field") for entry in told] == ["user", "password", None]


def test_what_can_not_be_had_is_refused_with_its_reason(kit: SelectingKit) -> None:
    kit.reader.put("database", b'{"user": "u"}')
    code, message = kit.refusal(pod([{"name": "database", "field": "colour"}]))
    assert (code, 'invalid_argument; it has no field "colour"' in message) == (400, True)
    code, message = kit.refusal(pod([{"name": "database", "field": "user", "version": "token-0"}]))
    assert (code, "not_found" in message) == (400, True)


def test_stores_that_can_not_do_it_say_so() -> None:
    plain = Kit()
    plain.reader.put("key", b"value")
    code, message = plain.refusal(pod([{"name": "key", "version": "token-0"}]))
    assert (code, 'unsupported; store "local" keeps no earlier versions' in message) == (400, True)
    code, message = plain.refusal(pod([{"name": "key", "field": "user"}]))
    assert (code, 'unsupported; store "local" gives whole values only' in message) == (400, True)
    plain.mutate(pod([{"name": "key", "version": "token-1"}]))  # the current one needs no history


def test_a_write_during_the_admission_of_a_pinned_version_is_followed(kit: SelectingKit) -> None:
    kit.reader.put("key", b"old")
    kit.reader.before_read = lambda: kit.reader.put("key", b"new")
    assert kit.env([{"name": "key", "version": "token-1"}]) == {"KEY": b"old"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", ""), ("version", "a b"), ("version", 1), ("version", "v" * 257), ("field", ""),
     ("field", "a\n"), ("field", "$(x)"), ("field", 3), ("field", "f" * 254)],
)  # fmt: skip
def test_odd_versions_and_fields_are_refused_before_any_store_is_asked(field: str, value: object) -> None:
    plain = Kit()
    code, message = plain.refusal(pod([{"name": "key", field: value}]))
    assert (code, plain.reader.calls) == (400, 0)
    assert f"request 0 of annotation secrets-svc.internal/request: {field}" in message


def test_leases_tell_fields_apart_and_not_how_a_version_was_asked_for() -> None:
    def name(**more: object) -> str:
        resolved = Resolved(SecretRef(SHOP, "a"), "t", SecretType.GENERIC, **more)  # type: ignore[arg-type]
        return lease_name(b"k" * 32, namespace_uid="u", store="s", resolved=resolved)

    assert len({name(), name(field="a"), name(field="b"), name(field="")}) == 4
    assert name(pinned=True) == name()


def test_errors_of_reading_are_ours(kit: SelectingKit) -> None:
    """A field of what is no longer current is looked up again, and given up in time."""
    kit.reader.put("database", b'{"user": "u"}')

    def read_field(ref: SecretRef, token: str, field: str) -> SecretVersion:
        raise Changed("again")

    kit.reader.read_field = read_field  # type: ignore[method-assign]
    response = kit.send(review(pod([{"name": "database", "field": "user"}])))
    assert "written over and over" in response["status"]["message"]
    assert issubclass(Changed, SecretsError)
