"""The webhook over TLS, as an API server speaks to it."""

from __future__ import annotations

import json
import socket
import ssl
import time
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from admissions import NAMESPACE, patch_of, pod, review
from harness import Server


def connection(server: Server) -> HTTPSConnection:
    parts = urlsplit(server.webhook)
    trust = ssl.create_default_context(cafile=str(server.ca_file))
    return HTTPSConnection(parts.hostname or "", parts.port, context=trust, timeout=20)


def send(server: Server, body: bytes) -> tuple[int, bytes]:
    opened = connection(server)
    opened.request("POST", "/mutate?timeout=10s", body, {"content-type": "application/json"})
    answer = opened.getresponse()
    content = answer.read()
    opened.close()
    return answer.status, content


def admit(server: Server, pod_: dict[str, Any], **request: Any) -> dict[str, Any]:
    status, content = send(server, review(pod_, **request))
    assert status == 200
    response: dict[str, Any] = json.loads(content)["response"]
    return response


@pytest.mark.parametrize("path", ["/mutate", "/mutate--v1-pod", "/mutate--v1-pod/secrets"])
def test_configurations_of_flytes_find_the_webhook_too(server: Server, path: str) -> None:
    opened = connection(server)
    opened.request("POST", path, review(pod()), {"content-type": "application/json"})
    answer = opened.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["response"]["allowed"]
    opened.request("POST", path + "/managed-image", review(pod()))
    assert opened.getresponse().status == 404
    opened.close()


def test_a_pod_gets_references_over_tls(server: Server) -> None:
    assert server.create("hook-password", "canary", project="shop", domain="production").status == 201
    response = admit(server, pod([{"name": "hook-password"}, {"name": "hook-password", "file": "f"}]))
    assert response["allowed"]
    assert len(patch_of(response)) == 4
    assert "canary" not in json.dumps(response)


def test_keep_alive_and_audit(server: Server) -> None:
    opened = connection(server)
    for number in range(3):
        body = review(pod([{"name": "nobody-has-this"}]), uid=f"keep-alive-{number}")
        opened.request("POST", "/mutate", body)
        answer = opened.getresponse()
        assert json.loads(answer.read())["response"]["status"]["reason"] == "not_found"
    opened.close()
    lines = [line for line in server.audit() if line["request_id"].startswith("keep-alive-")]
    assert [line["outcome"] for line in lines] == ["not_found"] * 3
    assert {line["namespace"] for line in lines} == {NAMESPACE}


def test_a_write_is_seen_by_the_next_admission(server: Server) -> None:
    request = pod([{"name": "hook-rotating"}])
    assert admit(server, request)["status"]["reason"] == "not_found"
    server.create("hook-rotating", "1", project="shop", domain="production")
    references = set()
    for number in range(20):
        operations = patch_of(admit(server, request))
        references.add(json.dumps(operations[0]["value"]))
        done = server.cli("update", "hook-rotating", "-p", "shop", "-d", "production", stdin=b"%d" % number)
        assert done.returncode == 0
    assert len(references) == 20
    server.cli("delete", "hook-rotating", "-p", "shop", "-d", "production", "--yes")
    assert admit(server, request)["status"]["reason"] == "not_found"


BAD = {
    "empty": (b"", 400),
    "truncated": (review(pod([{"name": "a"}]))[:-30], 400),
    "no JSON": (b"\x00" * 100, 400),
    "3 MiB": (review({**pod(), "filler": "x" * (3 << 20)}), 413),
}


@pytest.mark.parametrize(("body", "status"), BAD.values(), ids=BAD.keys())
def test_bad_bodies_are_refused_and_nothing_breaks(server: Server, body: bytes, status: int) -> None:
    assert send(server, body)[0] == status
    assert admit(server, pod())["allowed"]


def test_v1beta1_is_refused_with_the_way_out(server: Server) -> None:
    status, content = send(server, review(pod(), api_version="admission.k8s.io/v1beta1"))
    assert status == 200
    answer = json.loads(content)
    assert answer["apiVersion"] == "admission.k8s.io/v1beta1"
    assert "admissionReviewVersions: [v1]" in answer["response"]["status"]["message"]


@pytest.mark.parametrize(
    ("path", "status"), [("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/x", 404)]
)
def test_probes(server: Server, path: str, status: int) -> None:
    opened = connection(server)
    opened.request("GET", path)
    answer = opened.getresponse()
    content = answer.read()
    opened.close()
    assert answer.status == status
    assert path != "/metrics" or b"secrets_svc_events_total{" in content


def test_plain_http_and_old_tls_are_turned_away(server: Server) -> None:
    parts = urlsplit(server.webhook)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=15) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP/1.1 200")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(str(server.ca_file))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=15) as raw,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        old.wrap_socket(raw, server_hostname="localhost")


def test_silent_connections_do_not_keep_admissions_waiting(server: Server) -> None:
    parts = urlsplit(server.webhook)
    silent = [socket.create_connection((parts.hostname or "", parts.port or 0)) for _ in range(300)]
    try:
        begun = time.monotonic()
        assert admit(server, pod())["allowed"]
        assert time.monotonic() - begun < 2
    finally:
        for each in silent:
            each.close()
