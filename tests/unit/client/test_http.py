"""The client against a real server: what it sends, and what it makes of good and of hostile answers."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import time
from typing import Any

import pytest

from secrets_svc.client.http import ControlPlaneClient
from secrets_svc.client.scopes import ScopeParts
from secrets_svc.core.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Throttled,
    Unavailable,
    by_code,
)
from secrets_svc.core.secret import SecretType
from secrets_svc.core.value import SecretValue

SHOP = ScopeParts(domain="production", project="shop")
VALUE = SecretValue(b"\x00\xffs3cret\r\n")


def keys_of(requests: list[bytes]) -> list[bytes]:
    return [re.findall(rb"(?i)idempotency-key: ([0-9a-f]{32})\r\n", request)[0] for request in requests]


class TestRequests:
    def test_create_sends_the_exact_bytes_and_the_token(self, server: Any, script: Any) -> None:
        server.steps = [script.answer(201, script.metadata)]
        found = server.client().create("db-password", SHOP, VALUE, type=SecretType.IMAGE_PULL)
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        document = json.loads(body)
        assert head.startswith(b"POST /v1/secrets HTTP/1.1\r\n")
        assert f"Authorization: Bearer {script.token}".encode() in head
        assert base64.b64decode(document.pop("value")["base64"]) == VALUE.reveal_bytes()
        assert document == {
            "name": "db-password",
            "domain": "production",
            "project": "shop",
            "type": "image-pull",
        }
        assert (found.ref.name, found.version, found.size) == ("db-password", "v1", 7)
        assert found.created_at.isoformat() == "2026-01-02T03:04:05.678901+00:00"

    def test_update_names_the_expected_version(self, server: Any, script: Any) -> None:
        server.steps = [script.answer(200, script.metadata)]
        server.client().update("db-password", SHOP, VALUE, expected="a/b+c", dry_run=True)
        head = server.requests[0].partition(b"\r\n\r\n")[0]
        assert head.startswith(
            b"PUT /v1/secrets/db-password?domain=production&project=shop&dry_run=true HTTP/1.1\r\n"
        )
        assert b'If-Match: "a/b+c"' in head

    @pytest.mark.parametrize("version", ["", 'a"b', "a b", "a\r\nX: y", "\u00e4"])
    def test_a_version_that_is_none_is_refused_before_anything_is_sent(
        self, server: Any, version: str
    ) -> None:
        with pytest.raises(InvalidArgument):
            server.client().update("db-password", SHOP, VALUE, expected=version)
        assert server.requests == []

    def test_delete(self, server: Any, script: Any) -> None:
        server.steps = [script.raw(b"HTTP/1.1 204 No Content\r\n\r\n")]
        server.client().delete("db-password", ScopeParts("flyte"))
        assert server.requests[0].startswith(b"DELETE /v1/secrets/db-password?organization=flyte HTTP/1.1")

    def test_a_delete_that_was_not_answered_with_204_did_not_happen(self, server: Any, script: Any) -> None:
        server.steps = [script.answer(200, {})]
        with pytest.raises(Unavailable, match="did not answer as a secrets-svc server"):
            server.client().delete("db-password", SHOP)

    def test_reads(self, server: Any, script: Any) -> None:
        step = {
            "level": "project",
            "scope": "project shop",
            "outcome": "absent",
            "store": "local",
            "version": None,
            "type": None,
            "updated_at": None,
        }
        explanation = {"name": "n", "organization": "flyte", "domain": None, "project": "shop"}
        server.steps = [
            script.answer(200, script.metadata),
            script.answer(200, {"items": [script.metadata], "next_cursor": "c2"}),
            script.answer(200, {**explanation, "winner": None, "steps": [step]}),
            script.answer(
                200,
                {
                    "principal": "ann",
                    "organization": "flyte",
                    "bindings": [{"role": "admin", "scope": "organization flyte"}],
                },
            ),
        ]
        client = server.client()
        assert client.describe("db-password", SHOP).type is SecretType.GENERIC
        page = client.list(SHOP, exact=True, limit=7, cursor="c1")
        assert (len(page.items), page.cursor) == (1, "c2")
        assert b"exact=true&limit=7&cursor=c1" in server.requests[1]
        assert client.explain("n", SHOP).steps[0].outcome == "absent"
        assert client.whoami().bindings == (("admin", "organization flyte"),)
        assert b"idempotency-key" not in b"".join(server.requests).lower()

    def test_a_path_in_the_endpoint_goes_in_front(self, server: Any, script: Any) -> None:
        server.steps = [script.answer(200, script.metadata)]
        ControlPlaneClient(server.url + "/secrets/", SecretValue(b"t")).describe("db-password", SHOP)
        assert server.requests[0].startswith(b"GET /secrets/v1/secrets/db-password?")

    @pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "a\r\nb", "\u0430"])
    def test_illegal_names_are_not_sent(self, server: Any, name: str) -> None:
        with pytest.raises(InvalidArgument):
            server.client().describe(name, SHOP)
        assert server.requests == []

    def test_illegal_scopes_are_not_sent(self, server: Any) -> None:
        with pytest.raises(InvalidArgument):
            server.client().describe("a", ScopeParts(project="A_b"))
        assert server.requests == []


class TestConstruction:
    def test_the_token_is_never_shown(self) -> None:
        client = ControlPlaneClient("http://localhost:1", SecretValue(b"tok-canary"))
        assert "canary" not in repr(client) + str(vars(client))

    @pytest.mark.parametrize("token", [b"", b"  \n", b"a b", b"a\r\nX: y", b"\xff", b"x" * 20000])
    def test_a_token_that_is_none_is_refused_without_repeating_it(self, token: bytes) -> None:
        with pytest.raises(InvalidArgument) as caught:
            ControlPlaneClient("http://localhost:1", SecretValue(token))
        assert "X: y" not in str(caught.value)

    def test_plain_http_only_on_this_machine(self) -> None:
        token = SecretValue(b"t")
        for host in ("localhost", "127.0.0.1", "127.9.9.9", "[::1]"):
            ControlPlaneClient(f"http://{host}:80", token)
        for host in ("secrets.example", "127.0.0.1.example", "10.0.0.1", "localhost.example"):
            with pytest.raises(InvalidArgument, match="use https"):
                ControlPlaneClient(f"http://{host}", token)
        ControlPlaneClient("http://10.0.0.1", token, allow_insecure=True)

    @pytest.mark.parametrize(
        "endpoint",
        [
            "",
            "localhost:8470",
            "ftp://localhost",
            "http://",
            "http://localhost:0",
            "http://localhost:99999",
            "http://localhost:x",
            "http://ann:s3cret@localhost",
            "http://localhost/?a=b",
            "http://localhost/#f",
            "http://localhost/a b",
            "http://local host",
            "http://localhost\r\nX: y",
            "http://[::1",
            "http://ex\u00e4mple",
        ],
    )
    def test_illegal_endpoints(self, endpoint: str) -> None:
        with pytest.raises(InvalidArgument, match="endpoint") as caught:
            ControlPlaneClient(endpoint, SecretValue(b"t"), allow_insecure=True)
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize("timeout", [0.0, -1.0, 3601.0, float("nan")])
    def test_illegal_timeouts(self, timeout: float) -> None:
        with pytest.raises(InvalidArgument):
            ControlPlaneClient("http://localhost", SecretValue(b"t"), timeout=timeout)

    def test_a_ca_file_that_is_none(self, tmp_path: Any) -> None:
        (tmp_path / "ca.pem").write_text("nonsense")
        for name in ("ca.pem", "absent.pem"):
            with pytest.raises(InvalidArgument, match="ca_file"):
                ControlPlaneClient("https://localhost", SecretValue(b"t"), ca_file=str(tmp_path / name))


class TestProblems:
    @pytest.mark.parametrize("code", sorted(by_code()))
    def test_every_code_becomes_its_class(self, server: Any, script: Any, code: str) -> None:
        server.steps = [script.answer(400, script.problem(code, 400, "told why"))]
        with pytest.raises(by_code()[code], match=r"^told why$") as caught:
            server.client().describe("db-password", SHOP)
        assert type(caught.value) is by_code()[code]
        assert getattr(caught.value.__cause__, "request_id", None) == "r-1"

    def test_a_code_of_a_newer_server(self, server: Any, script: Any) -> None:
        server.steps = [
            script.answer(418, script.problem("teapot", 418)),
            script.answer(500, script.problem("kettle", 500)),
        ]
        with pytest.raises(InvalidArgument):
            server.client().describe("db-password", SHOP)
        with pytest.raises(Unavailable):
            server.client().describe("db-password", SHOP)

    def test_control_characters_are_stripped_and_length_is_bounded(self, server: Any, script: Any) -> None:
        detail = "a\x1b[31mb\r\nc\u202e\x00\x9b" + "d" * 5000
        server.steps = [script.answer(404, script.problem("not_found", 404, detail))]
        with pytest.raises(NotFound) as caught:
            server.client().describe("db-password", SHOP)
        assert str(caught.value).startswith("a[31mb cd")
        assert len(str(caught.value)) <= 2000

    def test_throttling_says_when_to_come_back(self, server: Any, script: Any) -> None:
        step = script.answer(429, script.problem("throttled", 429), headers=("Retry-After: 7",))
        server.steps = [step]
        with pytest.raises(Throttled) as caught:
            server.client().describe("db-password", SHOP)
        assert caught.value.retry_after == 7
        assert len(server.requests) == 1


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
METADATA = {
    "name": "db-password",
    "organization": "flyte",
    "domain": None,
    "project": "shop",
    "type": "generic",
    "version": "v1",
    "size": None,
    "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-02T03:04:05Z",
    "created_by": "admin",
    "updated_by": "admin",
}


def sent(body: object, status: int = 200, content_type: str = "application/json") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


GARBAGE = {
    "html": sent(b"<html>login</html>", content_type="text/html"),
    "html error": sent(b"<html>bad gateway</html>", 502, "text/html"),
    "html called json": sent(b"<html>"),
    "a list": sent([1]),
    "a number": sent(7),
    "deep": sent(b"[" * 200_000),
    "huge number": sent(b'{"size": ' + b"9" * 5000 + b"}"),
    "not utf-8": sent(b'{"a": "\xff"}'),
    "empty object": sent({}),
    "wrong types": sent({**METADATA, "version": 7}),
    "wrong size": sent({**METADATA, "size": True}),
    "wrong time": sent({**METADATA, "created_at": "yesterday"}),
    "naive time": sent({**METADATA, "created_at": "2026-01-02T03:04:05"}),
    "time out of range": sent({**METADATA, "created_at": "0001-01-01T00:00:00+23:59"}),
    "illegal scope": sent({**METADATA, "project": "../x"}),
    "illegal name": sent({**METADATA, "name": "\x1b[2J"}),
    "another secret": sent({**METADATA, "name": "other"}),
    "unknown type": sent({**METADATA, "type": "telepathic"}),
    "long text": sent({**METADATA, "created_by": "x" * 5000}),
    "problem without code": sent({"detail": "x"}, 404, "application/problem+json"),
    "problem of wrong types": sent({"detail": 1, "code": []}, 404, "application/problem+json"),
    "no http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "http 2": b"HTTP/2 200\r\n\r\n",
    "bad header": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "folded header": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "long header": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 20000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "too long": OK + b"Content-Length: 8388609\r\n\r\n",
    "unknown coding": OK + b"Transfer-Encoding: gzip\r\n\r\n",
    "bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "long chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    "unended chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n",
    "no answer": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@pytest.mark.parametrize("case", GARBAGE)
def test_whatever_is_no_answer_of_ours(server: Any, script: Any, case: str) -> None:
    server.steps = [script.raw(GARBAGE[case])]
    with pytest.raises(Unavailable, match="did not answer as a secrets-svc server"):
        server.client().describe("db-password", SHOP)


@pytest.mark.parametrize(
    ("prefix", "block"),
    [
        (OK + b"\r\n", b" " * 65536),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"x" * 65536),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "header", "interim"],
)
def test_answers_without_an_end(server: Any, script: Any, prefix: bytes, block: bytes) -> None:
    server.steps = [script.endless(prefix, block)]
    with pytest.raises(Unavailable, match="did not answer as a secrets-svc server"):
        server.client().describe("db-password", SHOP)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"items": {}},
        {"items": [7], "next_cursor": None},
        {"items": [], "next_cursor": 7},
        {"items": [], "next_cursor": ""},
        {"items": [], "next_cursor": "\ud800"},
        {"items": [], "next_cursor": "c1"},
    ],
)
def test_hostile_listings(server: Any, script: Any, document: object) -> None:
    server.steps = [script.answer(200, document)]
    with pytest.raises(Unavailable, match="did not answer as a secrets-svc server"):
        server.client().list(SHOP, cursor="c1")


@pytest.mark.parametrize(
    "document", [{}, {"steps": 1}, {"steps": ["x"]}, {"principal": "a", "organization": "B_"}]
)
def test_hostile_explanations_and_identities(server: Any, script: Any, document: object) -> None:
    server.steps = [script.answer(200, document)]
    with pytest.raises(Unavailable):
        server.client().explain("n", SHOP)
    with pytest.raises(Unavailable):
        server.client().whoami()


def test_redirects_are_not_followed(server: Any, script: Any) -> None:
    target = "Location: http://127.0.0.1:1/elsewhere"
    server.steps = [script.answer(307, None, headers=(target,))]
    with pytest.raises(Unavailable, match="not followed") as caught:
        server.client().describe("db-password", SHOP)
    assert "elsewhere" not in str(caught.value)
    assert len(server.requests) == 1


def test_chunks_and_interim_answers_are_understood(server: Any, script: Any) -> None:
    body = json.dumps(script.metadata).encode()
    chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (len(part), part) for part in (body[:10], body[10:]))
    head = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    head += b"HTTP/1.1 200 OK\r\ncontent-TYPE: application/json; a=b\r\n"
    server.steps = [script.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nT: x\r\n\r\n")]
    assert server.client().describe("db-password", SHOP).version == "v1"


class TestTime:
    def test_a_silent_server(self, server: Any) -> None:
        server.steps = [lambda connection: time.sleep(0.6)]
        with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s"):
            server.client(timeout=0.3).describe("db-password", SHOP)

    def test_a_dripping_server_does_not_hold_us(self, server: Any, script: Any) -> None:
        server.steps = [script.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000, 0.05)]
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            server.client(timeout=0.4).describe("db-password", SHOP)
        assert time.monotonic() - began < 2

    def test_nothing_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        client = ControlPlaneClient(f"http://127.0.0.1:{port}", SecretValue(b"t"))
        with pytest.raises(
            Unavailable, match=rf'^nothing listens at http://127\.0\.0\.1:{port}; .*"secret serve all"'
        ):
            client.whoami()


class TestRepeats:
    def test_a_write_whose_answer_got_lost_is_repeated_with_the_same_key(
        self, server: Any, script: Any
    ) -> None:
        server.steps = [script.reset, script.reset, script.answer(201, script.metadata)]
        server.client().create("db-password", SHOP, VALUE)
        keys = keys_of(server.requests)
        assert len(keys) == 3
        assert len(set(keys)) == 1
        assert len({request.partition(b"\r\n\r\n")[2] for request in server.requests}) == 1

    def test_each_call_has_a_key_of_its_own(self, server: Any, script: Any) -> None:
        server.steps = [script.answer(201, script.metadata)]
        for _ in range(2):
            server.client().create("db-password", SHOP, VALUE)
        assert len(set(keys_of(server.requests))) == 2

    def test_three_times_is_enough(self, server: Any, script: Any) -> None:
        server.steps = [script.reset]
        with pytest.raises(Unavailable, match="broke 3 times"):
            server.client().delete("db-password", SHOP)
        assert len(server.requests) == 3

    def test_a_truncated_body_is_a_broken_connection(self, server: Any, script: Any) -> None:
        truncated = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"
        server.steps = [script.raw(truncated), script.raw(b"HTTP/1.1 2"), script.answer(200, script.metadata)]
        assert server.client().describe("db-password", SHOP).version == "v1"

    def test_503_is_repeated_and_retry_after_is_waited_for(self, server: Any, script: Any) -> None:
        busy = script.answer(503, script.problem("unavailable", 503), headers=("Retry-After: 1",))
        server.steps = [busy, script.answer(200, script.metadata)]
        began = time.monotonic()
        server.client().update("db-password", SHOP, VALUE)
        assert 1.0 <= time.monotonic() - began < 4
        assert len(set(keys_of(server.requests))) == 1

    def test_a_wait_beyond_the_timeout_is_not_begun(self, server: Any, script: Any) -> None:
        step = script.answer(503, script.problem("unavailable", 503, "sealed"), headers=("Retry-After: 60",))
        server.steps = [step]
        began = time.monotonic()
        with pytest.raises(Unavailable, match="sealed") as caught:
            server.client(timeout=5).describe("db-password", SHOP)
        assert time.monotonic() - began < 2
        assert caught.value.retry_after == 60

    @pytest.mark.parametrize("status", [400, 404, 409, 429, 500, 504])
    def test_other_answers_are_final(self, server: Any, script: Any, status: int) -> None:
        server.steps = [script.answer(status, script.problem("internal", status))]
        with pytest.raises(by_code()["internal"]):
            server.client().create("db-password", SHOP, VALUE)
        assert len(server.requests) == 1

    def test_a_refusal_before_the_body_is_read_is_understood(self, server: Any, script: Any) -> None:
        body = json.dumps(script.problem("unauthenticated", 401, "who are you")).encode()
        head = (
            f"HTTP/1.1 401 X\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
        )

        def refuse(connection: Any) -> None:
            connection.socket.recv(100)
            connection.socket.sendall(head.encode() + body)
            connection.socket.shutdown(socket.SHUT_WR)

        server.steps = [refuse]
        with pytest.raises(by_code()["unauthenticated"], match="who are you"):
            server.client().create("db-password", SHOP, SecretValue(b"x" * 4_000_000))


def test_https_to_a_server_without_tls(server: Any) -> None:
    server.steps = [lambda connection: connection.socket.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")]
    client = ControlPlaneClient(server.url.replace("http:", "https:"), SecretValue(b"t"), timeout=3)
    with pytest.raises(Unavailable, match="TLS"):
        client.whoami()


@pytest.mark.parametrize("alert", [b"", b"\x15\x03\x03\x00\x02\x02\x46"])
def test_http_to_a_server_that_expects_tls(server: Any, script: Any, alert: bytes) -> None:
    server.steps = [script.raw(alert)]
    with pytest.raises(Unavailable, match=r"broke 3 times .*; does it speak https"):
        server.client().whoami()


def test_an_answer_that_breaks_off_is_no_matter_of_tls(server: Any, script: Any) -> None:
    server.steps = [script.raw(b"HTTP/1.1 200 OK\r\nContent-Le")]
    with pytest.raises(Unavailable) as caught:
        server.client().whoami()
    assert "https?" not in caught.value.message


class TestTls:
    def certificate(
        self, tmp_path: Any, *, address: str = "127.0.0.1", days: tuple[int, int] = (0, 1)
    ) -> Any:
        """A certificate and its key; good from and until so many days from now."""
        import datetime
        import ipaddress

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.datetime.now(datetime.UTC)
        since, until = (now + datetime.timedelta(days=number) for number in days)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, since, until)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (tmp_path / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (tmp_path / "both.pem").write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        return tmp_path

    def over_tls(self, certificate: Any, inner: Any) -> Any:
        """A step that speaks TLS and then does ``inner``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "both.pem")

        def step(connection: Any) -> None:
            with context.wrap_socket(connection.socket, server_side=True) as wrapped:
                connection.socket = wrapped
                inner(connection)

        return step

    def test_a_trusted_and_an_untrusted_server(self, server: Any, script: Any, tmp_path: Any) -> None:
        certificate = self.certificate(tmp_path)
        server.steps = [self.over_tls(certificate, script.answer(200, script.metadata))]
        url = server.url.replace("http:", "https:")
        trusting = ControlPlaneClient(url, SecretValue(b"t"), ca_file=str(certificate / "ca.pem"))
        assert trusting.describe("db-password", SHOP).version == "v1"
        with pytest.raises(Unavailable, match="is not trusted: name the authority"):
            ControlPlaneClient(url, SecretValue(b"t")).whoami()

    @pytest.mark.parametrize(
        ("made", "reason"),
        [
            ({"days": (-2, -1)}, "has expired"),
            ({"days": (1, 2)}, "is not valid yet"),
            ({"address": "127.0.0.9"}, "is for another name"),
        ],
    )
    def test_what_is_wrong_with_a_certificate_is_told(
        self, server: Any, script: Any, tmp_path: Any, made: dict[str, Any], reason: str
    ) -> None:
        certificate = self.certificate(tmp_path, **made)
        server.steps = [self.over_tls(certificate, script.answer(200, script.metadata))]
        url = server.url.replace("http:", "https:")
        client = ControlPlaneClient(url, SecretValue(b"t"), ca_file=str(certificate / "ca.pem"))
        with pytest.raises(Unavailable, match=f"the certificate of {url} {reason}"):
            client.whoami()
