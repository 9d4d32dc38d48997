"""moto's real server, and identities in it that its IAM holds to their policies.

It takes calls side by side, but does one at a time: AWS's are atomic, and moto doesn't lock. It is ended by
its own process id. Policies are loaded with resource ``*``: moto holds any other for another one.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REGION = "eu-central-1"
ACCOUNT = "123456789012"

_SERVER = """
import sys, threading
from werkzeug.serving import make_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

app, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

def one_at_a_time(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    import io
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
    with lock:
        return list(app(environ, start_response))

server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=MotoRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Moto:
    """A running server.

    :ivar folder: for files of credentials.
    """

    url: str
    folder: Path

    def client(self, service: str, **more: Any) -> Any:
        """As an administrator whom no policy holds."""
        import boto3

        given = {"aws_access_key_id": "AKIAADMIN", "aws_secret_access_key": "admin", **more}
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, **given)

    def enforce(self, on: bool) -> None:
        """Whether IAM is asked from now on."""
        self._post("/moto-api/reset-auth", b"0" if on else b"inf")

    def _post(self, path: str, body: bytes) -> None:
        headers = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", body, headers), timeout=10).close()

    def user(self, *policies: str) -> dict[str, str]:
        """Credentials of a new user with these policies."""
        iam, name = self.client("iam"), f"u{secrets.token_hex(6)}"
        iam.create_user(UserName=name)
        for number, policy in enumerate(policies):
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }

    def role(self, policy: str, trusted: str = "*") -> str:
        """ARN of a new role with that policy."""
        iam, name = self.client("iam"), f"r{secrets.token_hex(6)}"
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}],
        }
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return str(made["Role"]["Arn"])


#: A policy: whoever has it may do everything.
ANYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)


def on_everything(policy: str) -> str:
    """The policy with all its resources replaced by ``*``, for moto."""
    document = json.loads(policy)
    for statement in document["Statement"]:
        statement["Resource"] = "*"
    return json.dumps(document)


def profiles(path: Path, **credentials: dict[str, str]) -> Path:
    """A file of credentials."""
    lines = []
    for profile, given in credentials.items():
        lines += [f"[{profile}]", *(f"{key} = {text}" for key, text in given.items())]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


@contextmanager
def running(folder: Path) -> Iterator[Moto]:
    """A server of one's own."""
    log = (folder / "moto.log").open("w+")
    environment = {
        key: text for key, text in os.environ.items() if not key.startswith(("AWS_", "INITIAL_NO"))
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, stderr=log, env=environment, cwd=folder
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, f"moto doesn't start: {(folder / 'moto.log').read_text()}"
        made = Moto(f"http://127.0.0.1:{port.decode()}", folder)
        _await(made.url)
        yield made
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
        log.close()


def _await(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=30).close()
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "moto doesn't answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """One server for all tests: they keep to organizations of their own."""
    with running(tmp_path_factory.mktemp("moto")) as made:
        yield made


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own AWS configuration reaches the test, and none of its metadata service."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
