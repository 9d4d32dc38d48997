"""The unmodified ``flyte`` command and SDK against a real server in clear text, judged by its store."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flyte_runs import Client, outcomes, value_in
from harness import Reply, Server

SETTINGS = """
[flyte]
enabled = true
anonymous_principal = "admin"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where who calls from this machine is the admin: the client sends no credentials in clear."""
    server = Server(tmp_path_factory.mktemp("flyte"), SETTINGS)
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    home = server.folder / "client"
    home.mkdir()
    endpoint = server.endpoint.removeprefix("http://")
    return Client(home, {"endpoint": f"dns:///{endpoint}", "insecure": True})


def test_create_from_a_value_a_file_and_a_prompt(server: Server, client: Client) -> None:
    raw = bytes(range(256))
    (server.folder / "raw").write_bytes(raw)
    scope = ("-p", "shop", "-d", "production")
    client.flyte("create", "secret", "by-value", "--value", "s3cr3t $$ $(X)", *scope)
    client.flyte("create", "secret", "by-file", "--from-file", str(server.folder / "raw"), "-d", "production")
    client.flyte("create", "secret", "by-prompt", stdin="typed\n")
    assert value_in(server, "by-value", project="shop", domain="production") == b"s3cr3t $$ $(X)"
    assert value_in(server, "by-file", domain="production") == raw
    assert value_in(server, "by-prompt") == b"typed"


def auths_in(server: Server, name: str) -> dict[str, str]:
    found = json.loads(value_in(server, name))["auths"]
    return {registry: base64.b64decode(entry["auth"]).decode() for registry, entry in found.items()}


def test_create_for_image_pulls_in_four_ways(server: Server, client: Client) -> None:
    pull = ("--type", "image_pull")
    config = server.folder / "docker.json"
    entries = {"ghcr.io": {"auth": "dTpw"}, "quay.io": {"auth": "eDp5"}}
    config.write_text(json.dumps({"auths": entries}))
    docker = ("--from-docker-config", "--docker-config-path", str(config))
    account = ("--registry", "ghcr.io", "--username", "u", "--password", "p")
    client.flyte("create", "secret", "pull-account", *pull, *account)
    client.flyte("create", "secret", "pull-docker", *pull, *docker)
    client.flyte("create", "secret", "pull-some", *pull, *docker, "--registries", "quay.io")
    client.flyte("create", "secret", "pull-prompt", *pull, stdin="asked for and not used\nghcr.io\nu\np\n")
    assert auths_in(server, "pull-account") == auths_in(server, "pull-prompt") == {"ghcr.io": "u:p"}
    assert auths_in(server, "pull-docker") == {"ghcr.io": "u:p", "quay.io": "x:y"}
    assert auths_in(server, "pull-some") == {"quay.io": "x:y"}
    kept = server.call("GET", "/v1/secrets/pull-some", query={"organization": "flyte"}).json()
    assert kept["type"] == "image-pull"


def test_list_get_and_delete_of_many(server: Server, client: Client) -> None:
    names = [f"many-{number:02}" for number in range(26)]
    for name in names:
        assert server.create(name, "v", project="many", domain="d").status == 201
    said = client.flyte("get", "secret", "-p", "many", "-d", "d")
    assert [name for name in names if said.count(name) != 1] == []
    assert "FULLY_PRESENT" in said
    said = client.flyte("get", "secret", "many-07", "-p", "many", "-d", "d")
    assert ("many-07" in said, "FULLY_PRESENT" in said) == (True, True)
    client.flyte("delete", "secret", "many-07", "-p", "many", "-d", "d")
    gone = server.call("GET", "/v1/secrets/many-07", query={"project": "many", "domain": "d"})
    assert gone.status == 404
    lists = [entry for entry in server.audit() if entry["action"] == "list" and entry["edge"] == "flyte"]
    assert len(lists) == 3  # pages of ten


def test_what_goes_wrong_is_said(server: Server, client: Client) -> None:
    assert server.create("there", "v", organization="flyte").status == 201
    assert "already exists" in client.flyte("create", "secret", "there", "--value", "x", fails=True)
    assert "NOT FOUND" in client.flyte("get", "secret", "absent", fails=True)
    said = client.flyte("get", "secret", "--cluster-pool", "gpu", fails=True)
    assert 'there is no cluster pool "gpu"' in said
    assert value_in(server, "there") == b"v"


class LosingTheAnswer(BaseHTTPRequestHandler):
    """In front of a server: of the first creation nobody hears that it was done."""

    server: Losing

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name: text for name, text in self.headers.items() if name.lower() != "host"}
        reply = self.server.behind.call("POST", self.path, body, token=None, headers=headers)
        if self.path.endswith("CreateSecret"):
            self.server.ids.append(self.headers["x-request-id"])
            if len(self.server.ids) == 1:
                reply = Reply(500, {"content-type": "application/json"}, b'{"code": "internal"}')
        self.send_response(reply.status)
        for name in ("content-type", "content-encoding"):
            if name in reply.headers:
                self.send_header(name, reply.headers[name])
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Losing(ThreadingHTTPServer):
    def __init__(self, behind: Server) -> None:
        super().__init__(("127.0.0.1", 0), LosingTheAnswer)
        self.behind = behind
        self.ids: list[str] = []


def test_a_lost_answer_does_not_make_a_creation_fail(server: Server, client: Client) -> None:
    with Losing(server) as front:
        serving = threading.Thread(target=front.serve_forever)
        serving.start()
        try:
            endpoint = f"dns:///127.0.0.1:{front.server_address[1]}"
            Client(client.folder, {"endpoint": endpoint, "insecure": True}).flyte(
                "create", "secret", "once", "--value", "v"
            )
        finally:
            front.shutdown()
            serving.join()
    assert value_in(server, "once") == b"v"
    assert len(front.ids) == 2
    assert len(set(front.ids)) == 1  # the client's word for the call, not for the attempt


UPDATE = """
import asyncio, sys
import flyte
from connectrpc.errors import ConnectError
from flyteidl2.secret import definition_pb2 as definition, payload_pb2 as payload
from flyte._initialize import get_client

flyte.init_from_config(sys.argv[1])

async def update(name, type=0):
    spec = definition.SecretSpec(string_value="new", type=type)
    id = definition.SecretIdentifier(name=name, project="sdk", domain="d")
    try:
        await get_client().secrets_service.update_secret(payload.UpdateSecretRequest(id=id, secret_spec=spec))
        print(name, "done")
    except ConnectError as error:
        print(name, error.code.name, error.message)

async def all_of_it():
    await update("there")
    await update("absent")
    await update("there", type=1)

asyncio.run(all_of_it())
"""


def test_the_sdk_updates_what_is_there(server: Server, client: Client) -> None:
    assert server.create("there", "old", project="sdk", domain="d").status == 201
    said = client.python(UPDATE)
    assert "there done" in said
    assert "absent NOT_FOUND there is no secret" in said
    assert "there INVALID_ARGUMENT" in said
    assert value_in(server, "there", project="sdk", domain="d") == b"new"
    assert ("update", "admin", "not_found") in outcomes(server, "update")
