"""The unmodified ``union`` v1 command over gRPC against a real server, judged by its store."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flyte_runs import Client, value_in
from harness import Server

SETTINGS = """
[flyte]
enabled = true
grpc_listen = "127.0.0.1:0"
anonymous_principal = "admin"
"""
SCOPE = ("--project", "shop", "--domain", "production")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("union"), SETTINGS)
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    home = server.folder / "client"
    home.mkdir()
    return Client(home, {"endpoint": f"dns:///{server.grpc}", "insecure": True})


def test_create_update_and_delete(server: Server, client: Client) -> None:
    said = client.union("create", "secret", "db-password", "--value", "first", *SCOPE)
    assert "Created secret with name: db-password" in said
    assert value_in(server, "db-password", project="shop", domain="production") == b"first"
    said = client.union("update", "secret", "db-password", "--value", "second", *SCOPE)
    assert "Updated secret with name: db-password" in said
    assert value_in(server, "db-password", project="shop", domain="production") == b"second"
    assert "ALREADY_EXISTS" in client.union(
        "create", "secret", "db-password", "--value", "x", *SCOPE, fails=True
    )
    assert "Deleted secret" in client.union("delete", "secret", "db-password", *SCOPE)
    where = {"project": "shop", "domain": "production"}
    assert server.call("GET", "/v1/secrets/db-password", query=where).status == 404


def test_get_goes_through_all_pages(server: Server, client: Client) -> None:
    names = [f"many-{number:02}" for number in range(26)]
    for name in names:
        assert server.create(name, "v", domain="many").status == 201
    said = client.union("get", "secret", "--domain", "many")
    assert [name for name in names if said.count(name) != 1] == []


def test_a_file_for_image_pulls(server: Server, client: Client) -> None:
    file = server.folder / "docker.json"
    config = {"auths": {"ghcr.io": {"auth": "dTpw"}}}
    file.write_text(json.dumps(config))
    client.union("create", "secret", "pull", "-f", str(file), "-t", "image-pull-secret")
    assert json.loads(value_in(server, "pull")) == config
    kept = server.call("GET", "/v1/secrets/pull", query={"organization": "flyte"}).json()
    assert kept["type"] == "image-pull"
