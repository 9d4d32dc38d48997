"""What the edge for Flyte's clients makes of everything that is none of their calls. Never ``unknown``."""

from __future__ import annotations

import gzip
import logging

import pytest
from asgi import Exchange
from flyte_world import (
    AUTHORIZED,
    CLUSTERS,
    LOGIN,
    SECRETS,
    TOKEN,
    FlyteWorld,
    created,
    framed,
    identified,
)
from flyteidl2.cluster import payload_pb2 as cluster
from flyteidl2.secret import payload_pb2 as payload
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_svc.core.errors import Throttled, by_code
from secrets_svc.core.policy import Action
from secrets_svc.edges.flyte.protocols import canonical_path
from secrets_svc.edges.flyte.refusals import refusal
from secrets_svc.edges.gate.bodies import MAX_BODY

MARKER = "s3cr3t-m4rker"
GOOD = created("a", MARKER).SerializeToString()
CODES = {
    "invalid_argument",
    "unimplemented",
    "unauthenticated",
    "permission_denied",
    "not_found",
    "already_exists",
    "aborted",
    "resource_exhausted",
    "unavailable",
    "internal",
}


@pytest.fixture(scope="module")
def world() -> FlyteWorld:
    return FlyteWorld()


# Messages


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"\xff\xff", b"application/proto", 400, "invalid_argument"),
        (GOOD[:-3], b"application/proto", 400, "invalid_argument"),
        (b"{", b"application/json", 400, "invalid_argument"),
        (b"\xff", b"application/json", 400, "invalid_argument"),
        (b'{"id": {"name": "a"}, "more": 1}', b"application/json", 400, "invalid_argument"),
        (b'{"id": {"name": "a"}, "id": {"name": "b"}}', b"application/json", 400, "invalid_argument"),
        (b"[" * 60_000, b"application/json", 400, "invalid_argument"),
        (b"", b"application/proto", 400, "invalid_argument"),
        (GOOD, b"text/plain", 415, "invalid_argument"),
        (GOOD, b"application/grpc", 415, "invalid_argument"),
        (GOOD, b"application/grpc-web+proto", 415, "invalid_argument"),
        (GOOD, b"application/connect+proto", 415, "invalid_argument"),
        (GOOD, b"", 415, "invalid_argument"),
        (b"x" * (MAX_BODY + 1), b"application/proto", 413, "invalid_argument"),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_what_is_no_message_is_an_invalid_argument(
    world: FlyteWorld, body: bytes, content_type: bytes, status: int, code: str
) -> None:
    said = world.send(SECRETS + "CreateSecret", body, AUTHORIZED, content_type=content_type)
    assert (said.status, said.code) == (status, code)
    assert MARKER.encode() not in said.body
    assert (said.headers["connection"], said.headers["cache-control"]) == ("close", "no-store")


@pytest.mark.parametrize("type", [2, 99, -1, 2**31 - 1])
def test_a_type_that_is_none_is_refused(world: FlyteWorld, type: int) -> None:
    said = world.create("odd", b"v", type=type)
    assert (said.code, said.text) == (
        "invalid_argument",
        f"type {type} is not known: 0 is generic, 1 is for image pulls",
    )
    assert "odd" not in world.names()


def test_a_value_must_be_there(world: FlyteWorld) -> None:
    message = payload.CreateSecretRequest(id=identified("a"))
    for each in (message, payload.CreateSecretRequest()):
        assert world.call(SECRETS + "CreateSecret", each).code == "invalid_argument"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "a\n", "ä", "a" * 129, "$(x)", "a.b"])
def test_names_are_held_to_the_rule(world: FlyteWorld, name: str) -> None:
    for path, message in (
        ("CreateSecret", created(name, b"v")),
        ("GetSecret", payload.GetSecretRequest(id=identified(name))),
        ("DeleteSecret", payload.DeleteSecretRequest(id=identified(name))),
    ):
        assert world.call(SECRETS + path, message).code == "invalid_argument"


@pytest.mark.parametrize("part", ["A", "a_b", "a b", "-a", "a" * 64, "u__org__x"])
@pytest.mark.parametrize("kind", ["domain", "project"])
def test_parts_of_scopes_are_held_to_the_rule(world: FlyteWorld, kind: str, part: str) -> None:
    assert world.create("a", **{kind: part}).code == "invalid_argument"
    said = world.call(SECRETS + "ListSecrets", payload.ListSecretsRequest(**{kind: part}))
    assert said.code == "invalid_argument"


def test_a_limit_is_not_negative(world: FlyteWorld) -> None:
    said = world.call(SECRETS + "ListSecrets", payload.ListSecretsRequest(limit=-1))
    assert said.code == "invalid_argument"


@settings(max_examples=50)
@given(body=st.binary(max_size=200), path=st.sampled_from(["CreateSecret", "ListSecrets", "GetSecret"]))
def test_no_bytes_are_unknown(body: bytes, path: str) -> None:
    world = FlyteWorld()
    for kind in (b"application/proto", b"application/json"):
        said = world.send(SECRETS + path, body, AUTHORIZED, content_type=kind)
        assert said.code in CODES - {"internal"} | {""}
        assert len(world.trail) > 0


# Paths and methods


@pytest.mark.parametrize(
    "path",
    [
        SECRETS,
        SECRETS + "createsecret",
        SECRETS + "CreateSecret/",
        "/flyteidl2.secret.SecretService",
        "/flyteidl2.project.ProjectService/CreateProject",
        "/flyteidl2.",
        "/flyteidl2.secret.SecretService/../CreateSecret",
        "/cloudidl.secret.Other/CreateSecret",
    ],
)
def test_other_calls_are_not_here(world: FlyteWorld, path: str) -> None:
    said = world.send(path, b"", AUTHORIZED)
    assert (said.status, said.code) == (501, "unimplemented")


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "HEAD"])
def test_calls_are_made_by_post(world: FlyteWorld, method: str) -> None:
    said = world.send(LOGIN + "GetPublicClientConfig", b"", method=method)
    assert (said.status, said.code) == (501, "unimplemented")


def test_the_v1_clients_paths_mean_the_same(world: FlyteWorld) -> None:
    said = world.call("/cloudidl.secret.SecretService/CreateSecret", created("by-alias", b"v"))
    assert said.code == ""
    assert "by-alias" in world.names()
    assert canonical_path("/flyteidl.service.AuthMetadataService/X") == LOGIN + "X"
    assert canonical_path("/cloudidl.cluster.X/Y") == "/cloudidl.cluster.X/Y"


# What is packed


def test_a_bomb_is_not_unpacked(world: FlyteWorld) -> None:
    bomb = gzip.compress(bytes(100 * 1024 * 1024), compresslevel=9, mtime=0)
    said = world.send(SECRETS + "CreateSecret", bomb, AUTHORIZED, (b"content-encoding", b"gzip"))
    assert (said.status, said.code) == (413, "invalid_argument")
    frame = b"\1" + len(bomb).to_bytes(4, "big") + bomb
    assert world.grpc(SECRETS + "CreateSecret", frame, (b"grpc-encoding", b"gzip")).code == "3"


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"gzip"])
def test_what_is_packed_otherwise_is_refused(world: FlyteWorld, encoding: bytes) -> None:
    said = world.send(SECRETS + "CreateSecret", GOOD, AUTHORIZED, (b"content-encoding", encoding))
    assert (said.status, said.code) == (400, "invalid_argument")


# gRPC


def test_grpc_calls_are_the_same_calls(world: FlyteWorld) -> None:
    made = framed(created("over-grpc", b"v").SerializeToString())
    said = world.grpc("/cloudidl.secret.SecretService/CreateSecret", made)
    assert (said.status, said.code, said.headers["content-type"]) == (200, "", "application/grpc+proto")
    assert world.grpc(SECRETS + "CreateSecret", made).code == "6"
    packed = framed(created("packed", b"v").SerializeToString(), packed=True)
    assert world.grpc(SECRETS + "CreateSecret", packed, (b"grpc-encoding", b"gzip")).code == ""
    page = world.grpc(SECRETS + "ListSecrets", framed(b"")).read(payload.ListSecretsResponse)
    assert {"over-grpc", "packed"} <= {each.id.name for each in page.secrets}


@pytest.mark.parametrize(
    ("body", "encoding", "number"),
    [
        (b"", b"identity", "3"),
        (b"\0\0\0", b"identity", "3"),
        (framed(GOOD) + b"x", b"identity", "3"),
        (framed(GOOD) * 2, b"identity", "3"),
        (framed(GOOD)[:-1], b"identity", "3"),
        (framed(b"\xff\xff"), b"identity", "3"),
        (b"\2" + framed(GOOD)[1:], b"gzip", "3"),
        (framed(GOOD, packed=True), b"identity", "3"),
        (b"\1" + framed(GOOD)[1:], b"gzip", "3"),
        (framed(GOOD), b"br", "12"),
        (framed(created("a b", b"v").SerializeToString()), b"identity", "3"),
    ],
    ids=lambda each: repr(each)[:24],
)
def test_what_is_no_frame_is_refused_in_trailers(
    world: FlyteWorld, body: bytes, encoding: bytes, number: str
) -> None:
    said = world.grpc(SECRETS + "CreateSecret", body, (b"grpc-encoding", encoding))
    assert (said.status, said.code, said.headers["content-type"]) == (200, number, "application/grpc")
    assert MARKER not in said.text


@pytest.mark.parametrize(
    "header", [(b"grpc-timeout", b"x"), (b"x-odd", b"\xff\xff"), (b"connect-timeout-ms", b"x")]
)
def test_headers_that_make_no_sense_are_no_defect_of_ours(
    world: FlyteWorld, header: tuple[bytes, bytes]
) -> None:
    assert world.grpc(SECRETS + "ListSecrets", framed(b""), header).code in ("", "3")
    assert world.call(SECRETS + "ListSecrets", payload.ListSecretsRequest(), header).code in (
        "",
        "invalid_argument",
    )


# Who calls


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"authorization", b"Bearer x"),),
        ((b"authorization", b""),),
        ((b"flyte-authorization", b"Bearer x"),),
        (AUTHORIZED, AUTHORIZED),
        (AUTHORIZED, (b"flyte-authorization", b"Bearer x")),
        ((b"authorization", b"Basic eDp4"),),
    ],
)
def test_strangers_are_refused_before_their_body_is_taken(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    world = FlyteWorld()
    for path in (SECRETS + "CreateSecret", CLUSTERS):
        exchange = Exchange([(b"content-type", b"application/proto"), *headers], [GOOD], "POST", path)
        status, found, body = exchange.through(world.app)
        assert (status, exchange.taken) == (401, 0)
        assert b'"unauthenticated"' in body
        assert found["www-authenticate"].startswith("Bearer")
    assert [(each.action, each.outcome, each.detail) for each in world.trail] == [
        ("authenticate", "unauthenticated", {"edge": "flyte"})
    ] * 2


@pytest.mark.parametrize(
    "headers",
    [
        (AUTHORIZED,),
        ((b"flyte-authorization", AUTHORIZED[1]),),
        (AUTHORIZED, (b"flyte-authorization", AUTHORIZED[1])),
    ],
)
def test_a_token_may_come_in_either_header(
    world: FlyteWorld, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    assert world.send(SECRETS + "ListSecrets", b"", *headers).code == ""


def test_whoever_has_no_credentials_is_who_the_operator_says() -> None:
    world = FlyteWorld(anonymous="eve")
    local = ((b"host", b"127.0.0.1:8470"),)
    assert world.send(SECRETS + "ListSecrets", b"", *local).code == ""
    assert world.send(SECRETS + "CreateSecret", GOOD, *local).code == "permission_denied"
    assert [event.actor for event in world.trail] == ["eve", "eve"]
    wrong = world.send(SECRETS + "ListSecrets", b"", *local, (b"authorization", b"Bearer x"))
    assert wrong.code == "unauthenticated"


@pytest.mark.parametrize("host", [b"localhost", b"localhost:1", b"127.9.9.9:1", b"[::1]:8470", b"[::1]"])
def test_programs_of_this_machine_may_be_without_credentials(host: bytes) -> None:
    assert FlyteWorld(anonymous="eve").send(SECRETS + "ListSecrets", b"", (b"host", host)).code == ""


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"host", b"evil.example"),),
        ((b"host", b"evil.example:8470"),),
        ((b"host", b"127.0.0.1.evil.example"),),
        ((b"host", b"localhost"), (b"origin", b"http://localhost")),
        ((b"host", b"localhost"), (b"origin", b"null")),
    ],
)
def test_web_pages_are_not_among_them(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert FlyteWorld(anonymous="eve").send(SECRETS + "ListSecrets", b"", *headers).code == "unauthenticated"


# Errors


def test_an_unforeseen_error_is_internal_with_a_fixed_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    world = FlyteWorld(failing=RuntimeError(MARKER))
    said = world.create("a", MARKER)
    assert (said.status, said.code) == (500, "internal")
    assert said.text == "an internal error; the server's log has this request id"
    assert MARKER not in caplog.text
    assert said.headers["x-request-id"] in caplog.text
    assert world.grpc(SECRETS + "CreateSecret", framed(GOOD)).code == "13"


def test_an_event_that_cannot_be_kept_is_what_the_caller_hears() -> None:
    from secrets_svc.core.errors import Unavailable

    world = FlyteWorld()
    world.trail.failing = Unavailable("the audit record can't be written")
    assert world.create("a").code == "unavailable"
    select = cluster.SelectClusterRequest(operation=8)
    assert world.call(CLUSTERS, select).code == "unavailable"
    assert world.send(CLUSTERS, b"").code == "unavailable"


def test_no_answer_makes_a_client_log_in_by_its_words(world: FlyteWorld) -> None:
    for name in ("unauthorized", "Unauthenticated-x", "not-UNAUTHORIZED", "unauthorised"):
        said = world.call(SECRETS + "GetSecret", payload.GetSecretRequest(id=identified(name)))
        assert said.code == "not_found"
        assert "unauthorized" not in said.text.lower()
        assert "unauthenticated" not in said.text.lower()


def test_every_code_is_said_over_both_protocols() -> None:
    scope = {
        "headers": [(b"content-type", b"application/grpc")],
        "extensions": {"http.response.trailers": {}},
    }
    for kind in by_code().values():
        start, body = refusal(kind("100 % sure\n"), request_id="r1", scope={"headers": []})
        assert 400 <= start["status"] < 600
        assert b"unknown" not in body["body"]
        *_, end = refusal(kind("100 % sure\n"), request_id="r1", scope=scope)
        trailers = dict(end["headers"])
        assert trailers[b"grpc-status"] not in (b"0", b"2")
        assert trailers[b"grpc-message"] == b"100 %25 sure%0A"
    start, _ = refusal(Throttled("slow down", retry_after=1.2), request_id="r1", scope={"headers": []})
    assert (b"retry-after", b"2") in start["headers"]


def test_nothing_that_a_viewer_may_not_do_is_done() -> None:
    world = FlyteWorld(anonymous="eve")
    local = (b"host", b"localhost")
    calls = {
        Action.CREATE: ("CreateSecret", GOOD),
        Action.UPDATE: ("UpdateSecret", GOOD),
        Action.DELETE: ("DeleteSecret", payload.DeleteSecretRequest(id=identified("a")).SerializeToString()),
    }
    for method, body in calls.values():
        assert world.send(SECRETS + method, body, local).code == "permission_denied"
    assert [event.action for event in world.trail] == list(calls)
    assert TOKEN not in repr(vars(world.authenticator))


# Who isn't known


@pytest.mark.parametrize("method", ["GetOAuth2Metadata", "GetPublicClientConfig"])
def test_before_a_login_there_is_next_to_nothing_to_say(world: FlyteWorld, method: str) -> None:
    """Else strangers could have megabytes unpacked and read, without a trace."""
    bomb = gzip.compress(b'{"a":[' + b"{}," * 600_000 + b"{}]}", mtime=0)
    for body, packed in ((bomb, True), (b"x" * 1025, False), (gzip.compress(b"\0" * 1025), True)):
        headers = ((b"content-encoding", b"gzip"),) if packed else ()
        for content_type in (b"application/proto", b"application/json"):
            said = world.send(LOGIN + method, body, *headers, content_type=content_type)
            assert (said.status, said.code) == (413, "invalid_argument")


def test_json_is_for_small_calls(world: FlyteWorld) -> None:
    body = b'{"id": {"name": "a"}, "secretSpec": {"stringValue": "' + b"x" * 65_536 + b'"}}'
    said = world.send(SECRETS + "CreateSecret", body, AUTHORIZED, content_type=b"application/json")
    assert (said.status, said.code) == (413, "invalid_argument")
    assert "application/proto" in said.text


@pytest.mark.parametrize(
    "name",
    [b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"],
)
def test_a_proxy_on_this_machine_speaks_for_others(name: bytes) -> None:
    world = FlyteWorld(anonymous="eve")
    headers = ((b"host", b"127.0.0.1:8470"), (name, b"203.0.113.9"))
    assert world.send(SECRETS + "ListSecrets", b"", *headers).code == "unauthenticated"
    assert world.send(SECRETS + "ListSecrets", b"", headers[0]).code == ""


def test_what_is_hidden_is_asked_of_the_policy_and_told_in_the_audit() -> None:
    world = FlyteWorld(anonymous="eve")
    request = payload.DeleteSecretRequest(id=identified("EAGER_API_KEY")).SerializeToString()
    said = world.send(SECRETS + "DeleteSecret", request, (b"host", b"localhost"))
    assert said.code == "permission_denied"
    assert world.call(SECRETS + "DeleteSecret", payload.DeleteSecretRequest(id=identified("EAGER_API_KEY")))
    told = [(event.action, event.outcome, event.secrets[0].name) for event in world.trail]
    assert told == [
        ("delete", "permission_denied", "EAGER_API_KEY"),
        ("delete", "not_found", "EAGER_API_KEY"),
    ]
