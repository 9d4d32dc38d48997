"""The whole REST edge on a store in memory: what each known caller's call leaves, and what bodies may be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from asgi import Exchange
from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.backends.memory import MemoryStore
from secrets_svc.control.service import ControlPlane
from secrets_svc.core.audit import AuditEvent, AuditSink
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.policy import Binding, Policy, Role
from secrets_svc.core.ports import Capabilities
from secrets_svc.core.scope import Scope
from secrets_svc.core.value import SecretValue
from secrets_svc.data.writing import RoutedWriter, ValidatedWriter
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.gate.bodies import MAX_BODY
from secrets_svc.edges.rest.app import build_api, build_app
from secrets_svc.edges.rest.bodies import parse
from secrets_svc.edges.rest.manners import PUBLIC

MARKER = "s3cr3t-m4rker"
TOKEN = "t" * 32
AUTHORIZED = (b"authorization", b"Bearer " + TOKEN.encode())
AS_JSON = (b"content-type", b"application/json")
GOOD = {"name": "a", "project": "p", "value": {"text": "x"}}


@dataclass
class Trail(AuditSink):
    """Keeps events."""

    events: list[AuditEvent] = field(default_factory=list)

    def record_all(self, events: Sequence[AuditEvent]) -> None:
        self.events.extend(events)


class World:
    """The API, its trail, and ways to call it as its admin."""

    def __init__(self) -> None:
        self.trail = Trail()
        writer = MemoryStore().writer()
        store = ValidatedWriter(writer=writer, capabilities=Capabilities(max_value=64), store="memory")
        data_plane = RoutedWriter.of(store)
        policy = Policy([Binding("alice", Role.ADMIN, Scope("flyte"))])
        self.control = ControlPlane(policy=policy, data_plane=data_plane, audit=self.trail)
        self.app = build_app(
            control=self.control,
            organization="flyte",
            authenticator=TokenAuthenticator({"alice": SecretValue(TOKEN.encode())}),
            record=self.trail.record,
            ready=lambda: True,
            metrics=lambda: b"",
        )

    def call(self, method: str, path: str, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Any:
        """Status and answer. Headers given here come after, and instead of, the usual ones."""
        given = {key for key, _ in headers}
        usual = [pair for pair in (AUTHORIZED, AS_JSON) if pair[0] not in given]
        exchange = Exchange([*usual, *headers], [body], method=method, path=path)
        status, _, answer = exchange.through(self.app)
        return status, json.loads(answer) if answer.startswith(b"{") else answer


@pytest.fixture
def world() -> World:
    return World()


def encoded(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


# One event a call

#: Method, path, body, further headers, status: refused before the control plane hears of it.
REFUSED: dict[str, tuple[str, str, bytes, tuple[tuple[bytes, bytes], ...], int]] = {
    "content type": ("POST", "/v1/secrets", encoded(), ((b"content-type", b"text/plain"),), 400),
    "encoding": ("POST", "/v1/secrets", encoded(), ((b"content-encoding", b"br"),), 400),
    "gzip": ("POST", "/v1/secrets", encoded(), ((b"content-encoding", b"gzip"),), 400),
    "too large": ("POST", "/v1/secrets", b" " * (MAX_BODY + 1), (), 413),
    "declared too large": ("POST", "/v1/secrets", b"", ((b"content-length", b"9999999"),), 413),
    "no JSON": ("POST", "/v1/secrets", b"{", (), 400),
    "empty": ("POST", "/v1/secrets", b"", (), 400),
    "unknown field": ("POST", "/v1/secrets", encoded(more=1), (), 400),
    "field twice": ("POST", "/v1/secrets", b'{"name": "a", "name": "b"}', (), 400),
    "type": ("POST", "/v1/secrets", encoded(type="odd"), (), 400),
    "name": ("POST", "/v1/secrets", encoded(name="a b"), (), 400),
    "no scope": ("POST", "/v1/secrets", encoded(project=None), (), 400),
    "value": ("POST", "/v1/secrets", encoded(value={"base64": "?"}), (), 400),
    "unknown query": ("GET", "/v1/secrets?projct=p", b"", (), 400),
    "limit": ("GET", "/v1/secrets?limit=0", b"", (), 400),
    "name in path": ("GET", "/v1/secrets/a%20b?project=p", b"", (), 400),
    "idempotency key": ("DELETE", "/v1/secrets/a?project=p", b"", ((b"idempotency-key", b""),), 400),
    "if-match": ("PUT", "/v1/secrets/a?project=p", b'{"value": {"text": "x"}}', ((b"if-match", b"v"),), 400),
    "if-match twice": ("GET", "/v1/whoami", b"", ((b"if-match", b'"a"'), (b"if-match", b'"b"')), 400),
    "path": ("GET", f"/v2/{MARKER}", b"", (), 404),
    "method": ("PATCH", "/v1/secrets", b"{}", (), 405),
    "invented method": (MARKER, "/v1/secrets", b"{}", (), 405),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_known_callers_refusal_is_recorded_with_its_code(world: World, case: str) -> None:
    method, path, body, headers, status = REFUSED[case]
    got, answer = world.call(method, path, body, (b"x-request-id", b"r1"), *headers)
    assert got == status
    [event] = world.trail.events
    assert (event.surface, event.action, event.actor) == ("api", "request", "alice")
    assert (event.outcome, event.request_id) == (answer["code"], "r1")
    assert event.detail == {"method": "other" if method == MARKER else method}
    assert MARKER.encode() not in event.to_json()


def test_what_reaches_the_control_plane_is_recorded_there_and_only_once(world: World) -> None:
    value = b'{"value": {"text": "x"}}'
    for method, path, body in (
        ("POST", "/v1/secrets", encoded()),
        ("POST", "/v1/secrets", encoded()),
        ("PUT", "/v1/secrets/a?project=p", value),
        ("GET", "/v1/secrets/a?project=p", b""),
        ("GET", "/v1/secrets", b""),
        ("GET", "/v1/explain/a?project=p", b""),
        ("DELETE", "/v1/secrets/a?project=p", b""),
        ("DELETE", "/v1/secrets/a?project=p", b""),
        ("GET", "/v1/whoami", b""),
    ):
        world.call(method, path, body)
    assert [(event.action, event.outcome) for event in world.trail.events] == [
        ("create", "ok"),
        ("create", "already_exists"),
        ("update", "ok"),
        ("get", "ok"),
        ("list", "ok"),
        ("explain", "ok"),
        ("delete", "ok"),
        ("delete", "not_found"),
        ("whoami", "ok"),
    ]


def test_an_unforeseen_error_is_recorded_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(MARKER)

    world.control._data_plane.describe = fails  # type: ignore[method-assign]
    assert world.call("GET", "/v1/secrets/a?project=p")[0] == 500
    world.control.whoami = fails  # type: ignore[assignment]  # before it could record anything
    assert world.call("GET", "/v1/whoami")[0] == 500
    found = [(event.action, event.outcome) for event in world.trail.events]
    assert found == [("get", "internal"), ("request", "internal")]
    assert MARKER not in caplog.text


@pytest.mark.parametrize(
    ("method", "header"),
    [
        *(("POST", name) for name in ("if-match", "if-none-match", "if-unmodified-since")),
        *(("PUT", name) for name in ("if-none-match", "if-modified-since", "if-unmodified-since")),
        *(("DELETE", name) for name in ("if-match", "if-none-match", "if-unmodified-since")),
    ],
)
def test_a_write_on_a_condition_that_is_not_looked_at_does_not_happen(
    world: World, method: str, header: str
) -> None:
    """Who says "only if it is not there" must not overwrite what is."""
    before = world.call("POST", "/v1/secrets", encoded(name="there"))[1]
    path = "/v1/secrets" if method == "POST" else "/v1/secrets/there?project=p"
    body = encoded() if method == "POST" else b'{"value": {"text": "y"}}'
    status, answer = world.call(method, path, body, (header.encode(), b"*"))
    assert (status, answer["code"]) == (400, "invalid_argument")
    assert header in answer["detail"]
    assert world.call("GET", "/v1/secrets")[1]["items"] == [before]


def test_a_condition_on_reading_is_no_harm(world: World) -> None:
    assert world.call("GET", "/v1/secrets", b"", (b"if-none-match", b"*"))[0] == 200


def test_credentials_given_twice_are_nobodys(world: World) -> None:
    assert world.call("GET", "/v1/whoami", b"", AUTHORIZED, AUTHORIZED)[0] == 401
    [event] = world.trail.events
    assert (event.actor, event.outcome) == ("anonymous", "unauthenticated")


# What needs no token


def test_every_public_path_is_there_and_answers_without_a_token_or_an_event(world: World) -> None:
    for path in PUBLIC:
        assert world.call("GET", path, b"", (b"authorization", b""))[0] == 200
    assert world.trail.events == []


def test_nothing_else_answers_without_a_token(world: World) -> None:
    paths = set(build_api(control=world.control, organization="flyte").openapi()["paths"])
    assert paths
    assert not paths & PUBLIC
    for path in (*paths, "/docs", "/redoc", "/", "/livez/", "/nowhere"):
        assert world.call("GET", path, b"", (b"authorization", b""))[0] == 401


# Bodies


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            b'{"name": "a", "name": "b", "project": "p", "value": {"text": "x"}}',
            'field "name" is given twice',
        ),
        (b'{"name": "a", "na\\u006de": "a", "project": "p", "value": {"text": "x"}}', '"name" is given'),
        (b'{"name": "a", "project": "p", "value": {"text": "M", "text": "x"}}', 'field "text" is given'),
        (b'{"name": "a", "project": "p", "value": {"text": "M"}, "value": {"text": "x"}}', '"value" is'),
        (b'{"name": "a", "project": "p", "value": {"M": 1, "M": 2}}', "a field of the body is given twice"),
        (b'{"M": 1, "M": 2}', "a field of the body is given twice"),
        (b'{"name": "a", "project": "p", "value": {"text": [{"M": 1, "M": 2}]}}', "a field of the body"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_key_given_twice_is_refused_by_name_and_no_value_is_repeated(
    world: World, method: str, body: bytes, says: str
) -> None:
    path = "/v1/secrets" if method == "POST" else "/v1/secrets/a?project=p"
    status, answer = world.call(method, path, body.replace(b"M", MARKER.encode()))
    assert (status, answer["code"]) == (400, "invalid_argument")
    assert says in answer["detail"]
    assert MARKER not in json.dumps(answer)
    assert world.call("GET", "/v1/secrets")[1]["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": NaN}',
        b'{"name": -Infinity}',
        encoded().decode().encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"\xff",
    ],
)
def test_what_only_some_parsers_take_is_no_json(world: World, body: bytes) -> None:
    status, answer = world.call("POST", "/v1/secrets", body)
    assert (status, answer["detail"]) == (400, "the body is not valid JSON")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_everything_else_is_parsed_as_it_was_meant(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value


def test_nesting_beyond_all_bounds_is_no_json() -> None:
    with pytest.raises(InvalidArgument):
        parse(b"[" * 100_000)
