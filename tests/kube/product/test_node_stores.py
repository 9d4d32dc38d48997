"""A pod on a real kubelet gets a variable and a file from each store, and from existing secrets."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from bao import Bao
from installation import REQUEST, Installation, Server
from kit import Node, Pods, pod, shell
from ready_stores import BACKENDS, Store

pytestmark = pytest.mark.node

FILE = "/var/run/secrets/secrets-svc/told"
DIGESTS = f'printf %s "$TOLD" | sha256sum; sha256sum < {FILE}'
TEXT, BYTES = "correct horse åäö", bytes(range(256)) * 100


@contextmanager
def kubernetes(installation: Installation, folder: Path) -> Iterator[Store]:
    """A namespace of the cluster itself."""
    del folder
    namespace = installation.namespace()
    account = installation.cluster.admin_kubeconfig
    yield Store(
        f'[stores.main]\nbackend = "kubernetes"\nnamespace = "{namespace}"\nkubeconfig = "{account}"\n'
    )


@pytest.fixture(params=["local", "vault", "aws", "kubernetes"])
def server(request: pytest.FixtureRequest, installation: Installation, tmp_path: Path) -> Iterator[Server]:
    """The API and the webhook over that store; the webhook configuration leads to it."""
    folder = tmp_path / "store"
    folder.mkdir()
    with ExitStack() as undo:
        if request.param == "kubernetes":
            store = undo.enter_context(kubernetes(installation, folder))
        else:
            store = undo.enter_context(BACKENDS[request.param](folder))
        yield undo.enter_context(serving(installation, store, tmp_path / "state"))


@contextmanager
def serving(installation: Installation, store: Store, state: Path) -> Iterator[Server]:
    environment = {**store.environment, "SECRET_CONFIG": str(state.with_name("config.toml"))}
    server = installation.serve("all", store=store.settings, state=state, environment=environment)
    installation.lead_to(server)
    try:
        yield server
    finally:
        installation.lead_to(installation.server)
        server.stop()


def create(server: Server, name: str, value: Mapping[str, str]) -> None:
    """As a client of the API."""
    body = {"name": name, "project": "shop", "domain": "production", "value": value}
    token = server.admin_token
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(f"{server.api}/v1/secrets", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 201


def digests(installation: Installation, namespace: str, requests: list[dict[str, str]]) -> tuple[str, str]:
    """What a container of a new pod says of its variable and its file."""
    body = pod("a", shell(DIGESTS), annotations={REQUEST: json.dumps(requests)})
    told = Pods(installation.cluster, namespace).output(body).split()
    return told[0], told[2]


def of(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def test_variable_and_file_come_from_every_store(
    installation: Installation, node: Node, shop: str, server: Server
) -> None:
    create(server, "text", {"text": TEXT})
    create(server, "bytes", {"base64": base64.b64encode(BYTES).decode()})
    requests = [{"name": "text", "env": "TOLD"}, {"name": "bytes", "file": "told"}]
    assert digests(installation, shop, requests) == (of(TEXT.encode()), of(BYTES))


def test_fields_come_from_documents_that_were_there(
    installation: Installation, node: Node, shop: str, tmp_path: Path
) -> None:
    folder = tmp_path / "bao"
    folder.mkdir()
    with Bao(folder) as bao:
        document = {"user": "u", "password": TEXT}
        bao.call("POST", "secret/data/teams/shop/production/database", {"data": document})
        settings = (
            f'[stores.company]\nbackend = "vault"\naddress = "{bao.address}"\n'
            'existing = "teams/{project}/{domain}/{name}"\n'
            f'login = {{ method = "token", token = "{bao.token}" }}\n'
        )
        with serving(installation, Store(settings), tmp_path / "state"):
            requests = [
                {"name": "database", "env": "TOLD", "field": "password"},
                {"name": "database", "file": "told", "field": "user"},
            ]
            assert digests(installation, shop, requests) == (of(TEXT.encode()), of(b"u"))
