"""The unmodified ``flyte`` command over TLS with an authority of our own, and both ways to show who calls."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flyte_runs import Client, outcomes, value_in
from harness import Server, token_file

from secrets_svc.runtime.certificates import own_certificates


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = own_certificates(tmp_path_factory.mktemp("company") / "tls", ("localhost", "127.0.0.1"))
    assert files.ca is not None
    return files.ca


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ca: Path) -> Iterator[Server]:
    """A server with that certificate, which knows a contributor, and at which address it is reached."""
    folder = tmp_path_factory.mktemp("secured")
    port = free_port()
    _, entry = token_file(folder, "ci+bot")
    settings = f"""
[server]
listen = "127.0.0.1:{port}"
tls_cert = "{ca.parent}/server.pem"
tls_key = "{ca.parent}/server.key"
[flyte]
enabled = true
public_url = "https://localhost:{port}"
grpc_listen = "127.0.0.1:0"
[policy]
bindings = [{{principal = "ci+bot", role = "contributor", project = "shop"}}]
"""
    server = Server(folder, settings + entry)
    server.start()
    yield server
    assert server.stop() == 0


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
        return port


def client(folder: Path, server: Server, ca: Path, **admin: object) -> Client:
    reached = {"endpoint": f"dns:///localhost:{server.address[1]}", "caCertFilePath": str(ca)}
    # The client asks for its token by another library, which knows the authority from the environment only.
    return Client(folder, {**reached, **admin}, {"SSL_CERT_FILE": str(ca), "REQUESTS_CA_BUNDLE": str(ca)})


def token_of(server: Server) -> str:
    return (server.folder / "ci+bot.token").read_text().strip()


SCOPE = ("-p", "shop", "-d", "production")


def test_a_client_secret_gets_a_short_lived_token(server: Server, ca: Path, tmp_path: Path) -> None:
    secret = {"clientId": "ci+bot", "clientSecretEnvVar": "CI_SECRET"}
    known = client(tmp_path, server, ca, **secret)
    known.environ = {**known.environ, "CI_SECRET": token_of(server)}
    known.flyte("create", "secret", "by-secret", "--value", "over-tls", *SCOPE)
    assert value_in(server, "by-secret", project="shop", domain="production") == b"over-tls"
    assert ("token", "ci+bot", "ok") in outcomes(server, "token")
    assert ("create", "ci+bot", "ok") in outcomes(server, "create")
    refused = known.flyte("create", "secret", "elsewhere", "--value", "x", fails=True)
    assert "Permission denied" in refused


def test_a_wrong_client_secret_gets_none(server: Server, ca: Path, tmp_path: Path) -> None:
    stranger = client(tmp_path, server, ca, clientId="ci+bot", clientSecretEnvVar="CI_SECRET")
    stranger.environ = {**stranger.environ, "CI_SECRET": "x" * 43}
    stranger.flyte("create", "secret", "by-stranger", "--value", "x", *SCOPE, fails=True)
    gone = server.cli("get", "by-stranger", *SCOPE, environ=trusting(server, ca))
    assert gone.returncode == 3


def trusting(server: Server, ca: Path) -> dict[str, str]:
    return {"SECRET_ENDPOINT": server.endpoint, "SECRET_TOKEN": server.token, "SECRET_CA_FILE": str(ca)}


def test_an_external_command_gives_the_token_itself(server: Server, ca: Path, tmp_path: Path) -> None:
    shown = [sys.executable, "-c", f"print(open({str(server.folder / 'ci+bot.token')!r}).read().strip())"]
    known = client(tmp_path, server, ca, authType="ExternalCommand", command=shown)
    known.flyte("create", "secret", "by-command", "--value", "over-tls", *SCOPE)
    assert value_in(server, "by-command", project="shop", domain="production") == b"over-tls"
    assert "by-command" in known.flyte("get", "secret", *SCOPE)


GRPC = """
import sys, grpc
from flyteidl2.secret import definition_pb2 as definition, payload_pb2 as payload
_, _, address, ca, token = sys.argv
credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
channel = grpc.secure_channel(address, credentials)
list_secrets = channel.unary_unary(
    "/cloudidl.secret.SecretService/ListSecrets",
    request_serializer=payload.ListSecretsRequest.SerializeToString,
    response_deserializer=payload.ListSecretsResponse.FromString,
)
for metadata in ((), (("authorization", "Bearer " + token),), (("flyte-authorization", "Bearer " + token),)):
    try:
        found = list_secrets(payload.ListSecretsRequest(), metadata=metadata, timeout=20)
        print("found", len(found.secrets))
    except grpc.RpcError as error:
        print(error.code().name)
"""


def test_grpc_goes_over_tls_too(server: Server, ca: Path, tmp_path: Path) -> None:
    script = GRPC.replace("sys.argv", repr(["", "", server.grpc, str(ca), server.token]))
    said = client(tmp_path, server, ca).python(script).splitlines()
    assert said[0] == "UNAUTHENTICATED"
    assert [line.split()[0] for line in said[1:]] == ["found", "found"]


def test_the_v1_client_logs_in_over_grpc(server: Server, ca: Path, tmp_path: Path) -> None:
    known = client(tmp_path, server, ca, authType="ClientSecret", clientId="ci+bot")
    known.admin = {
        **known.admin,
        "endpoint": f"dns:///localhost:{server.grpc.rpartition(':')[2]}",
        "clientSecretEnvVar": "CI_SECRET",
    }
    known.environ = {
        **known.environ,
        "CI_SECRET": token_of(server),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(ca),
    }
    known.union("create", "secret", "by-v1", "--value", "over-grpc", "--project", "shop")
    assert value_in(server, "by-v1", project="shop") == b"over-grpc"


def test_who_has_no_credentials_hears_so_and_waits_for_no_page(
    server: Server, ca: Path, tmp_path: Path
) -> None:
    """The client would open a page to log in at; there is none."""
    begun = time.monotonic()
    client(tmp_path, server, ca).flyte("get", "secret", fails=True)
    assert time.monotonic() - begun < 30
