"""Hostile clients of the services for Flyte: bombs, bodies that don't end, crowds, over Connect and gRPC."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator

import pytest
from h2.exceptions import ProtocolError
from h2_calls import Grpc, frame
from harness import Server, head, read_reply, send_all_it_takes

Launch = Callable[..., Server]
CREATE = "/flyteidl2.secret.SecretService/CreateSecret"
LIST = "/flyteidl2.secret.SecretService/ListSecrets"
PROTO = "Content-Type: application/proto"

SETTINGS = """
[logging]
level = "debug"
[server]
body_deadline = 3
idle_timeout = 3
[flyte]
enabled = true
grpc_listen = "127.0.0.1:0"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("hostile"), SETTINGS)
    server.start()
    yield server
    assert "Traceback" not in server.log
    assert server.token not in server.log  # a library for HTTP/2 would log every header
    assert server.stop() == 0


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """As small as gzip makes 800 MB: a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1_000_000)
    packed = b"".join(packer.compress(block) for _ in range(800)) + packer.flush()
    assert len(packed) < 800_000
    return packed


def works(server: Server) -> bool:
    """Whether both ports answer somebody well-behaved."""
    with Grpc(server.grpc) as grpc:
        found = grpc.call(LIST, server.token, frame(b""))
    reply = server.call("POST", LIST, b"", headers={"content-type": "application/proto"})
    return (found["grpc-status"], reply.status) == ("0", 200)


def test_a_bomb_costs_no_memory(server: Server, bomb: bytes) -> None:
    assert works(server)
    before = server.resident_mib()
    for _ in range(3):
        packed = {"content-type": "application/proto", "content-encoding": "gzip"}
        reply = server.call("POST", CREATE, bomb, headers=packed)
        assert (reply.status, reply.json()["code"]) == (413, "invalid_argument")
        with Grpc(server.grpc) as grpc:
            found = grpc.call(CREATE, server.token, frame(bomb, packed=True), grpc_encoding="gzip")
        assert (found[":status"], found["grpc-status"]) == ("200", "3")
    assert server.resident_mib() - before < 64
    assert works(server)


def test_a_stranger_is_refused_with_its_body_unread(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head("POST", CREATE, None, PROTO, "Content-Length: 100000"))
        reply = read_reply(connection)
        assert (reply.status, reply.json()["code"]) == (401, "unauthenticated")
    with Grpc(server.grpc) as grpc:
        found = grpc.call(CREATE, None, frame(b"x" * 1_000_000))
        assert (found[":status"], found["grpc-status"]) == ("200", "16")
        again = grpc.call(LIST, server.token, frame(b""))  # the connection is none the worse
        assert again["grpc-status"] == "0"


def test_a_body_that_does_not_come_is_given_up_in_time(server: Server) -> None:
    started = time.monotonic()
    with server.connect() as connection:
        connection.sendall(head("POST", CREATE, server.token, PROTO, "Content-Length: 100") + b"x")
        assert read_reply(connection).status == 503
    with Grpc(server.grpc) as grpc:
        grpc.begin(CREATE, server.token)
        assert grpc.answer()["grpc-status"] == "14"
    assert time.monotonic() - started < 12


def test_more_than_any_message_is_not_taken(server: Server) -> None:
    with Grpc(server.grpc) as grpc:
        assert grpc.call(CREATE, server.token, frame(b"x" * 3_000_000))["grpc-status"] == "3"
    with Grpc(server.grpc) as grpc, contextlib.suppress(EOFError, OSError, ProtocolError):
        assert grpc.call(CREATE, server.token, frame(b"x" * 20_000_000))["grpc-status"] == "3"
    assert works(server)


@pytest.mark.parametrize("kind", ["text/plain", "application/grpc-web", "application/grpc+json", ""])
def test_grpc_with_another_content_type(server: Server, kind: str) -> None:
    with Grpc(server.grpc) as grpc:
        found = grpc.call(CREATE, server.token, frame(b""), content_type=kind)
        assert (found[":status"], found["content-type"]) == ("415", "application/json")


def test_grpc_where_it_is_not_spoken(server: Server) -> None:
    reply = server.call("POST", LIST, frame(b""), headers={"content-type": "application/grpc"})
    assert (reply.status, reply.json()["code"]) == (415, "invalid_argument")
    assert "flyte.grpc_listen" in reply.json()["message"]


def test_nothing_else_is_at_the_port_for_grpc(server: Server) -> None:
    with Grpc(server.grpc) as grpc:
        found = grpc.call("/v1/secrets", server.token, frame(b""))
        assert found["grpc-status"] == "12"


@pytest.mark.slow
@pytest.mark.parametrize("port", ["api", "grpc"])
def test_a_crowd_of_slow_clients_keeps_nobody_out(server: Server, port: str) -> None:
    host, _, number = server.grpc.rpartition(":")
    address = server.address if port == "api" else (host, int(number))
    begun = b"PRI * HTTP/2.0\r\n\r\nSM" if port == "grpc" else b"POST /flyteidl2.secr"
    before = server.resident_mib()
    with contextlib.ExitStack() as crowd:
        slow = [crowd.enter_context(socket.create_connection(address, 20)) for _ in range(500)]
        for each in slow[:250]:
            each.sendall(begun)
        for each in slow[250:400]:
            send_all_it_takes(each, head("POST", CREATE, server.token, PROTO, "Content-Length: 9") + b"x")
        assert works(server)
        assert server.resident_mib() - before < 64
        deadline = time.monotonic() + 40
        for each in slow:  # all are sent away
            each.settimeout(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                while each.recv(65536):
                    pass
    assert works(server)


def test_garbage_at_the_port_for_grpc(server: Server) -> None:
    host, _, number = server.grpc.rpartition(":")
    for data in (b"\x16\x03\x01" + bytes(500), b"GARBAGE\r\n\r\n", bytes(5000), b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection((host, int(number)), 20) as connection:
            send_all_it_takes(connection, data)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(65536):
                    pass
    assert works(server)


def test_a_stop_waits_for_no_idle_connection(launch: Launch) -> None:
    server = launch(SETTINGS).start()
    with Grpc(server.grpc) as grpc:
        assert grpc.call(LIST, server.token, frame(b""))["grpc-status"] == "0"
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 12


def test_a_start_that_would_open_too_much_is_refused(launch: Launch) -> None:
    for table, why in (
        ('enabled = true\npublic_url = "http://x"', "must be https"),
        ('enabled = true\npublic_url = "https://x/y"', "must be a scheme"),
        ('public_url = "https://x"', "enabled must be true"),
        ('enabled = true\ngrpc_listen = "0.0.0.0:0"', "flyte.grpc_listen: beyond loopback"),
        ('enabled = true\nanonymous_principle = "x"', "anonymous_principle is not a setting"),
    ):
        server = launch(f"[flyte]\n{table}\n")
        code, said = server.fails_to_start()
        assert (code, why in said) == (2, True), said


def test_nobody_is_anonymous_beyond_this_machine(
    launch: Launch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from secrets_svc.runtime.certificates import own_certificates

    files = own_certificates(tmp_path_factory.mktemp("tls") / "tls", ("localhost",))
    tls = f'tls_cert = "{files.cert}"\ntls_key = "{files.key}"\n'
    flyte = '[flyte]\nenabled = true\nanonymous_principal = "admin"\n'
    everywhere = f'[server]\nlisten = "0.0.0.0:0"\n{tls}{flyte}'
    grpc = f'[server]\nlisten = "127.0.0.1:0"\n{tls}{flyte}grpc_listen = "0.0.0.0:0"\n'
    for settings, setting in ((everywhere, "server.listen"), (grpc, "flyte.grpc_listen")):
        code, said = launch(settings).fails_to_start()
        assert (code, f"{setting}: beyond loopback everybody" in said) == (2, True), said


def test_a_repeated_attempt_over_the_wire(server: Server) -> None:
    body = json.dumps({"id": {"name": "once"}, "secretSpec": {"stringValue": "v"}}).encode()
    id = "6f1c1f0e-9d5b-4c57-8a53-0f5f1f3a7c11"
    for _ in range(2):
        assert server.call("POST", CREATE, body, headers={"x-request-id": id}).status == 200
    assert server.call("POST", CREATE, body).status == 409
