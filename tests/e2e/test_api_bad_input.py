"""What clients get wrong, or do on purpose: each is refused by name, and the server lives on."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import resource
import selectors
import socket
import time
import zlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from harness import Reply, Server, chunked, head, read_reply, send_all_it_takes, value_in
from problems import assert_problem

JSON = "Content-Type: application/json"
#: Secret-looking text that no answer may repeat.
MARKER = "s3cr3t-m4rker"
LIMIT = 1_048_576


def post(server: Server, body: object, **headers: str) -> Reply:
    sent = {key.replace("_", "-"): text for key, text in headers.items()}
    return server.call("POST", "/v1/secrets", body, headers=sent)


def new(project: str, value: object, **fields: object) -> dict[str, object]:
    return {"name": "a", "project": project, "value": value, **fields}


@pytest.fixture(autouse=True)
def server_lives_on(server: Server) -> Iterator[None]:
    yield
    started = time.monotonic()
    assert server.call("GET", "/v1/whoami").status == 200
    assert time.monotonic() - started < 2


# Who calls


WRITES = [
    ("POST", "/v1/secrets", {"name": "a", "project": "shop", "value": {"text": "x"}}),
    ("PUT", "/v1/secrets/a?project=shop", {"value": {"text": "x"}}),
    ("DELETE", "/v1/secrets/a?project=shop", None),
]
READS = [
    ("GET", "/v1/secrets", None),
    ("GET", "/v1/secrets/a?project=shop", None),
    ("GET", "/v1/explain/a?project=shop", None),
]


@pytest.mark.parametrize(("method", "path", "body"), [*WRITES, *READS, ("GET", "/v1/whoami", None)])
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YWRtaW46YWRtaW4=", "Token {token}", "{token}"],
)
def test_callers_that_are_not_known_are_refused(
    server: Server, method: str, path: str, body: object, authorization: str | None
) -> None:
    sent = {} if authorization is None else {"authorization": authorization.format(token=server.token)}
    assert_problem(server.call(method, path, body, token=None, headers=sent), 401, "unauthenticated")


def test_a_token_counts_in_its_header_only(server: Server) -> None:
    path = f"/v1/whoami?token={server.token}&access_token={server.token}"
    assert_problem(server.call("GET", path, token=None), 401, "unauthenticated")
    assert (
        server.call(
            "GET", "/v1/whoami", token=None, headers={"authorization": f"bearer {server.token}"}
        ).status
        == 200
    )


def test_unknown_callers_are_in_the_audit_file(server: Server, project: str) -> None:
    server.call("GET", "/v1/whoami", token="wrong", headers={"x-request-id": f"unknown-{project}"})
    [entry] = [entry for entry in server.audit() if entry["request_id"] == f"unknown-{project}"]
    assert (entry["actor"], entry["outcome"]) == ("anonymous", "unauthenticated")


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_viewers_token_writes_nothing(
    server: Server, tokens: dict[str, str], method: str, path: str, body: object, dry_run: bool
) -> None:
    path += ("&" if "?" in path else "?") + "dry_run=true" if dry_run else ""
    detail = assert_problem(server.call(method, path, body, token=tokens["viewer"]), 403, "permission_denied")
    assert '"viewer"' in detail
    assert_problem(server.call("GET", "/v1/secrets/a?project=shop"), 404, "not_found")


@pytest.mark.parametrize(("method", "path", "body"), READS)
def test_without_a_binding_nothing_can_be_seen(
    server: Server, tokens: dict[str, str], method: str, path: str, body: object
) -> None:
    assert server.call(method, path, body, token=tokens["viewer"]).status in (200, 404)
    assert_problem(server.call(method, path, body, token=tokens["nobody"]), 403, "permission_denied")


def test_a_refusal_does_not_tell_whether_the_secret_is_there(
    server: Server, tokens: dict[str, str], project: str
) -> None:
    server.create("there", "x", project=project)
    details = [
        assert_problem(
            server.call("GET", f"/v1/secrets/{name}", query={"project": project}, token=tokens["nobody"]),
            403,
            "permission_denied",
        )
        for name in ("there", "absent")
    ]
    assert details[0] == details[1]


def test_a_contributor_stays_in_his_project(server: Server, tokens: dict[str, str], project: str) -> None:
    token = tokens["contributor"]
    mine = new("shop", value_in("x"), domain=project)
    assert server.call("POST", "/v1/secrets", mine, token=token).status == 201
    for scope in ({"project": project}, {"domain": project}, {"organization": "flyte"}):
        body = {"name": "a", "value": value_in("x"), **scope}
        assert_problem(server.call("POST", "/v1/secrets", body, token=token), 403, "permission_denied")
    where = {"project": "shop", "domain": project}
    gone = server.call("DELETE", "/v1/secrets/a", query=where, token=token)
    assert_problem(gone, 403, "permission_denied")
    assert server.call("GET", "/v1/secrets", query={"project": "shop"}, token=token).status == 200
    assert_problem(server.call("GET", "/v1/secrets", token=token), 403, "permission_denied")


def test_401_comes_before_the_body_is_read(server: Server) -> None:
    with server.connect(timeout=5) as connection:
        started = time.monotonic()
        connection.sendall(head("POST", "/v1/secrets", None, JSON, "Content-Length: 1000000"))
        assert_problem(read_reply(connection), 401, "unauthenticated")
        assert time.monotonic() - started < 1
        assert connection.recv(1) == b""  # and the body is not waited for


def test_who_asks_before_sending_a_body_hears_401_and_not_go_on(server: Server) -> None:
    fields = (JSON, "Content-Length: 100", "Expect: 100-continue")
    with server.connect(timeout=5) as connection:
        connection.sendall(head("POST", "/v1/secrets", "wrong", *fields))
        assert_problem(read_reply(connection), 401, "unauthenticated")
    with server.connect(timeout=5) as connection:
        connection.sendall(head("POST", "/v1/secrets", server.token, *fields))
        assert connection.recv(64).startswith(b"HTTP/1.1 100 ")


# Bodies: size, time, encoding


def test_a_body_declared_too_large_is_refused_at_once(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head("POST", "/v1/secrets", server.token, JSON, "Content-Length: 10000000"))
        assert_problem(read_reply(connection), 413, "too_large")


def test_a_body_of_10_mb_is_refused(server: Server) -> None:
    body = json.dumps({"name": "a", "project": "p", "value": {"text": "x" * 10_000_000}}).encode()
    with server.connect() as connection:
        start = head("POST", "/v1/secrets", server.token, JSON, f"Content-Length: {len(body)}")
        send_all_it_takes(connection, start + body)
        assert_problem(read_reply(connection), 413, "too_large")


def test_a_chunked_body_of_10_mb_is_refused(server: Server) -> None:
    before = server.resident_mib()
    with server.connect() as connection:
        start = head("POST", "/v1/secrets", server.token, JSON, "Transfer-Encoding: chunked")
        send_all_it_takes(connection, start + chunked([b"x" * 65536] * 160))
        assert_problem(read_reply(connection), 413, "too_large")
    assert server.resident_mib() - before < 24


def test_a_chunked_body_is_taken(server: Server, project: str) -> None:
    body = json.dumps(new(project, value_in("x" * 1000))).encode()
    with server.connect() as connection:
        start = head("POST", "/v1/secrets", server.token, JSON, "Transfer-Encoding: chunked")
        connection.sendall(start + chunked([body[at : at + 100] for at in range(0, len(body), 100)]))
        assert read_reply(connection).status == 201


def test_half_a_body_and_silence_is_answered_in_time(server: Server) -> None:
    with server.connect() as connection:
        started = time.monotonic()
        connection.sendall(
            head("POST", "/v1/secrets", server.token, JSON, "Content-Length: 100") + b'{"name":'
        )
        assert_problem(read_reply(connection), 504, "deadline_exceeded")
        assert 1.4 < time.monotonic() - started < 4


def test_a_body_that_drips_is_answered_in_time(server: Server) -> None:
    with server.connect() as connection:
        started = time.monotonic()
        connection.sendall(head("POST", "/v1/secrets", server.token, JSON, "Content-Length: 1000"))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - started < 3:
                connection.sendall(b" ")
                time.sleep(0.2)
        assert_problem(read_reply(connection), 504, "deadline_exceeded")


def test_half_a_body_and_gone_leaves_no_trace(server: Server, project: str) -> None:
    body = json.dumps(new(project, value_in("x"))).encode()
    with server.connect() as connection:
        connection.sendall(
            head("POST", "/v1/secrets", server.token, JSON, f"Content-Length: {len(body)}") + body[:-5]
        )
    time.sleep(0.2)
    assert server.call("GET", "/v1/secrets", query={"project": project}).json()["items"] == []


def test_gzip_is_taken(server: Server, project: str) -> None:
    body = gzip.compress(json.dumps(new(project, value_in("x" * 100_000))).encode())
    reply = post(server, body, content_encoding="gzip")
    assert (reply.status, reply.json()["size"]) == (201, 100_000)


def test_a_gzip_bomb_is_refused_and_costs_no_memory(server: Server) -> None:
    packer = zlib.compressobj(level=9, wbits=31)
    block = b" " * LIMIT
    bomb = b"".join(packer.compress(block) for _ in range(300)) + packer.flush()
    assert len(bomb) < LIMIT
    before = server.resident_mib()
    for _ in range(3):
        assert_problem(post(server, bomb, content_encoding="gzip"), 413, "too_large")
    assert server.resident_mib() - before < 24


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (gzip.compress(b'{"name": "a"}', mtime=0)[:-6], "truncated"),
        (gzip.compress(b'{"name": "a"}', mtime=0) + gzip.compress(b"{}", mtime=0), "two members"),
        (gzip.compress(b'{"name": "a"}', mtime=0) + b"trailer", "something after it"),
        (gzip.compress(b'{"name": "a"}', mtime=0)[:-1] + b"\xff", "wrong length field"),
        (b'{"name": "a"}', "not gzip"),
        (zlib.compress(b'{"name": "a"}'), "zlib, not gzip"),
        (b"", "empty"),
    ],
)
def test_what_is_not_one_whole_gzip_stream_is_refused(server: Server, body: bytes, why: str) -> None:
    assert "gzip" in assert_problem(post(server, body, content_encoding="gzip"), 400, "invalid_argument")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x-unknown"])
def test_other_encodings_are_refused(server: Server, encoding: str) -> None:
    reply = post(server, b"{}", content_encoding=encoding)
    assert "gzip" in assert_problem(reply, 400, "invalid_argument")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"],
)
def test_other_content_types_are_refused(server: Server, project: str, kind: str) -> None:
    body = json.dumps(new(project, value_in("x"))).encode()
    assert "JSON" in assert_problem(post(server, body, content_type=kind), 400, "invalid_argument")


def test_a_charset_is_no_obstacle(server: Server, project: str) -> None:
    body = json.dumps(new(project, value_in("x"))).encode()
    assert post(server, body, content_type="Application/JSON; charset=utf-8").status == 201


# Bodies: form


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"name": "a",}',
        b"\xff\xfe",
        b'"\xff"',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"{}",
        b'{"name": "a"}',
    ],
    ids=range(14),
)
def test_bodies_that_are_no_request_are_refused(server: Server, body: bytes) -> None:
    assert_problem(post(server, body), 400, "invalid_argument")


def test_an_unknown_field_is_refused_by_name(server: Server, project: str) -> None:
    reply = post(server, new(project, value_in(MARKER), projct=MARKER))
    assert assert_problem(reply, 400, "invalid_argument") == 'unknown field "projct"'


@pytest.mark.parametrize(
    "value",
    [
        {MARKER: "x"},
        {MARKER: {"text": "x"}},
        {"text": MARKER, MARKER: 1},
        {"text": MARKER, "base64": MARKER},
        {"text": None, "base64": None},
        {"text": [MARKER]},
        {"text": {MARKER: MARKER}},
        {"base64": 7},
        {"base64": MARKER + "!"},
        {"base64": "YQ"},
        {"base64": "YQ=="[:3] + "\n="},
        {"base64": "é" + MARKER},
        {},
        [],
        [MARKER],
        MARKER,
        None,
        7,
    ],
    ids=range(18),
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_value_of_the_wrong_form_is_refused_and_not_repeated(
    server: Server, project: str, method: str, value: object
) -> None:
    if method == "POST":
        reply = post(server, new(project, value))
    else:
        server.create("a", "x", project=project)
        reply = server.call("PUT", "/v1/secrets/a", {"value": value}, query={"project": project})
    detail = assert_problem(reply, 400, "invalid_argument")
    assert MARKER not in str(reply)
    assert detail.startswith("value")


def test_half_a_surrogate_pair_is_refused(server: Server, project: str) -> None:
    body = json.dumps(new(project, {"text": "x\ud800" + MARKER})).encode()
    reply = post(server, body)
    assert "surrogate" in assert_problem(reply, 400, "invalid_argument")
    assert MARKER not in str(reply)


@pytest.mark.parametrize("field", ["name", "organization", "domain", "project", "type", "\udfff"])
def test_half_a_surrogate_pair_elsewhere_is_refused_too(server: Server, project: str, field: str) -> None:
    body = {"organization": "flyte", **new(project, value_in("x")), field: "\ud800"}
    assert_problem(post(server, json.dumps(body).encode()), 400, "invalid_argument")


@pytest.mark.parametrize("field", ["name", "organization", "domain", "project", "type"])
@pytest.mark.parametrize("wrong", [7, True, ["a"], {"a": "b"}])
def test_a_field_of_another_type_is_refused_by_name(
    server: Server, project: str, field: str, wrong: object
) -> None:
    reply = post(server, {**new(project, value_in("x")), field: wrong})
    assert assert_problem(reply, 400, "invalid_argument").startswith(field)


@pytest.mark.parametrize("query", ["projct=x", "value=x", f"{MARKER}=", "project=a&project=b", "PROJECT=a"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_query_that_could_mean_another_secret_is_refused(
    server: Server, project: str, method: str, query: str
) -> None:
    server.create("a", "x", project=project)
    body = {"value": value_in("y")} if method == "PUT" else None
    reply = server.call(method, f"/v1/secrets/a?project={project}&{query}", body)
    assert_problem(reply, 400, "invalid_argument")
    found = server.call("GET", "/v1/secrets/a", query={"project": project})
    assert found.json()["created_at"] == found.json()["updated_at"]


# Names and scopes


BAD_NAMES = {
    "empty": "",
    "slash": "a/b",
    "dots": "..",
    "dot": "db.password",
    "NUL": "a\x00b",
    "space": "a b",
    "newline": "a\n",
    "Cyrillic": "pаssword",
    "full width": "ｄb",
    "dotless i": "dıb",
    "combining accent": "e\u0301",
    "zero width": "a\u200bb",
    "right to left": "\u202eab",
    "percent": "%2e",
    "quote": "a'--",
    "129 characters": "a" * 129,
}
BAD_LABELS = {
    **{key: name for key, name in BAD_NAMES.items() if key != "129 characters"},
    "upper case": "Shop",
    "underscore": "a_b",
    "hyphen first": "-a",
    "hyphen last": "a-",
    "64 characters": "a" * 64,
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_illegal_names_are_refused_in_a_body(server: Server, project: str, name: str) -> None:
    reply = post(server, {**new(project, value_in("x")), "name": name})
    assert assert_problem(reply, 400, "invalid_argument").startswith("secret name")


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_illegal_names_are_refused_in_a_path(server: Server, project: str, method: str, name: str) -> None:
    body = {"value": value_in("x")} if method == "PUT" else None
    path = f"/v1/secrets/{quote(name, safe='')}"
    reply = server.call(method, path, body, query={"project": project})
    if not name or "/" in name:
        assert_problem(reply, 404, "not_found")
    else:
        assert assert_problem(reply, 400, "invalid_argument").startswith("secret name")


@pytest.mark.parametrize("part", ["organization", "domain", "project"])
@pytest.mark.parametrize("label", BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_illegal_scopes_are_refused(server: Server, project: str, part: str, label: str) -> None:
    body = {**new(project, value_in("x")), part: label}
    assert assert_problem(post(server, body), 400, "invalid_argument").startswith(part)
    where = {"project": project, part: label}
    for path in ("/v1/secrets/a", "/v1/explain/a", "/v1/secrets"):
        reply = server.call("GET", path, query=where)
        assert assert_problem(reply, 400, "invalid_argument").startswith(part)


@pytest.mark.parametrize("name", ["A_b", "a__project__b__key__c", "-", "_", "0", "a" * 128])
def test_legal_names_are_kept_as_they_are(server: Server, project: str, name: str) -> None:
    assert server.create(name, "x", project=project).status == 201
    found = server.call("GET", f"/v1/secrets/{name}", query={"project": project})
    assert found.json()["name"] == name


def test_names_differ_by_case(server: Server, project: str) -> None:
    assert server.create("key", "1", project=project).status == 201
    assert server.create("KEY", "22", project=project).status == 201
    assert server.call("GET", "/v1/secrets/key", query={"project": project}).json()["size"] == 1


def test_parts_of_63_characters_pass_while_the_storage_name_fits(server: Server, project: str) -> None:
    label = (project + "x" * 63)[:63]
    fixed = len(f"u__org__flyte__domain__{label}__project__{label}__key__")
    longest = "n" * (253 - fixed)
    assert server.create(longest, "x", project=label, domain=label).status == 201
    reply = server.create(longest + "n", "x", project=label, domain=label)
    assert "1 over the limit of 253" in assert_problem(reply, 400, "invalid_argument")


@pytest.mark.parametrize(("method", "path", "body"), [(m, p.partition("?")[0], b) for m, p, b in WRITES])
def test_no_scope_at_all_is_refused(
    server: Server, method: str, path: str, body: dict[str, object] | None
) -> None:
    body = {key: value for key, value in body.items() if key != "project"} if body else None
    assert "no scope given" in assert_problem(server.call(method, path, body), 400, "invalid_argument")


@pytest.mark.parametrize("type_", ["tls", "", "Generic", "opaque", MARKER])
def test_unknown_types_are_refused(server: Server, project: str, type_: str) -> None:
    reply = post(server, new(project, value_in("x"), type=type_))
    assert assert_problem(reply, 400, "invalid_argument").startswith("type")


# Values


VALUES = {
    "empty": b"",
    "all-bytes": bytes(range(256)) * 3,
    "crlf": b"a\r\nb\r\n",
    "dollars": b"$$ $(X) ${Y} `z`",
    "newline": b"\n",
    "quotes": b"\"'\\",
    "nul": b"\x00",
    "bom": b"\xef\xbb\xbfx",
    "one-mib": os.urandom(LIMIT),
}


def test_every_byte_arrives(server: Server, project: str) -> None:
    for name, value in VALUES.items():
        reply = server.create(name, value, project=project)
        assert (reply.status, reply.json()["size"]) == (201, len(value)), name
    files = [option for name in VALUES for option in ("--file", name)]
    script = f"cd $SECRET_FILES; sha256sum {' '.join(VALUES)}"
    done = server.cli("run", "-p", project, *files, "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    got = dict(line.split()[::-1] for line in done.stdout.decode().splitlines())
    assert got == {name: hashlib.sha256(value).hexdigest() for name, value in VALUES.items()}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("form", ["text", "base64"])
def test_one_byte_over_1_mib_is_refused(server: Server, project: str, method: str, form: str) -> None:
    def send(size: int) -> Reply:
        value = value_in("x" * size if form == "text" else b"\xff" * size)
        if method == "POST":
            return post(server, new(project, value))
        return server.call("PUT", "/v1/secrets/a", {"value": value}, query={"project": project})

    if method == "PUT":
        server.create("a", "x", project=project)
    detail = assert_problem(send(LIMIT + 1), 413, "too_large")
    assert f"{LIMIT + 1} bytes" in detail
    assert str(LIMIT) in detail
    assert send(LIMIT).json()["size"] == LIMIT


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"plain",
        b"{}",
        b"[]",
        b'"auths"',
        b'{"auths": {}}',
        b'{"auths": []}',
        b'{"auths": {"r": {}}}',
        b'{"auths": {"r": "x"}}',
        b'{"auths": null}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=range(12),
)
def test_image_pull_secrets_are_docker_configs(server: Server, project: str, value: bytes) -> None:
    good = b'{"auths": {"registry.example": {"auth": "dTpw"}}}'
    reply = server.create("a", value, project=project, type="image-pull")
    assert "docker config" in assert_problem(reply, 400, "invalid_argument")
    assert server.create("a", good, project=project, type="image_pull").json()["type"] == "image-pull"
    where = {"project": project}
    reply = server.call("PUT", "/v1/secrets/a", {"value": value_in(value)}, query=where)
    assert "docker config" in assert_problem(reply, 400, "invalid_argument")


# Below HTTP


def test_1000_idle_connections_hurt_nobody_and_are_closed(server: Server) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with contextlib.ExitStack() as undo, selectors.DefaultSelector() as selector:
        opened = time.monotonic()
        for _ in range(1000):
            connection = undo.enter_context(server.connect())
            selector.register(connection, selectors.EVENT_READ)
        for _ in range(5):
            started = time.monotonic()
            assert server.call("GET", "/v1/whoami").status == 200
            assert time.monotonic() - started < 2
        waiting = set(selector.get_map().values())
        while waiting and time.monotonic() - opened < 15:
            for key, _ in selector.select(0.5):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                assert connection.recv(1) == b""
                selector.unregister(connection)
                waiting.discard(key)
        assert not waiting, f"{len(waiting)} idle connections are still open"
        assert time.monotonic() - opened > 2.5  # not before their time


def test_a_connection_that_asks_nothing_more_is_closed(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head("GET", "/v1/whoami", server.token))
        assert read_reply(connection).status == 200
        started = time.monotonic()
        assert connection.recv(1) == b""
        assert 2 < time.monotonic() - started < 6


def test_a_head_that_never_ends_is_cut_off(server: Server) -> None:
    with server.connect() as connection:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            connection.sendall(b"GET /v1/whoami HTTP/1.1\r\n")
            while time.monotonic() - started < 8:
                connection.sendall(b"X-Drip: 1\r\n")
                time.sleep(0.3)
        assert time.monotonic() - started < 6


def test_a_huge_head_costs_no_memory(server: Server) -> None:
    before = highest = server.resident_mib()
    with server.connect() as connection:
        send_all_it_takes(connection, b"GET /v1/whoami HTTP/1.1\r\nX-Big: ")
        with contextlib.suppress(OSError):
            for _ in range(64):
                connection.sendall(b"x" * LIMIT)
                highest = max(highest, server.resident_mib())
    assert highest - before < 24


def test_requests_sent_at_once_are_answered_one_after_the_other(server: Server) -> None:
    names = ["/livez", "/v1/whoami", "/v1/secrets/..?project=a", "/v1/whoami"]
    with server.connect() as connection:
        connection.sendall(b"".join(head("GET", name, server.token) for name in names))
        data = b""
        while data.count(b"HTTP/1.1 ") < 4 or not data.endswith(b"}"):
            block = connection.recv(65536)
            assert block
            data += block
    statuses = [part[:3] for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"200", b"400", b"200"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"GARBAGE\r\n\r\n",
        b"\r\n" * 1000,
        b"\x00" * 1000,
        b"GET /v1/whoami HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
        b"GET /v1/whoami HTTP/1.1\r\nAuthorization: Bearer \x00\r\n\r\n",
        b"POST /v1/secrets HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/secrets HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
        b"POST /v1/secrets HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/secrets HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/whoami HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=range(17),
)
def test_garbage_is_answered_with_an_error_or_a_closed_door(server: Server, data: bytes) -> None:
    with server.connect(timeout=10) as connection:
        send_all_it_takes(connection, data)
        with contextlib.suppress(ConnectionResetError):
            answer = connection.recv(65536)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_a_bad_chunk_in_a_body_is_refused(server: Server) -> None:
    with server.connect() as connection:
        start = head("POST", "/v1/secrets", server.token, JSON, "Transfer-Encoding: chunked")
        send_all_it_takes(connection, start + b'5\r\n{"nam\r\nnot-a-size\r\n')
        with contextlib.suppress(ConnectionResetError, EOFError):
            assert 400 <= read_reply(connection).status < 500
