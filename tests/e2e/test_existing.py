"""Existing secrets of Vault (OpenBao) and AWS (moto) through the whole service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bao import Bao
from existing_served import ExistingServed, World
from harness import Server
from moto_server import ANYTHING, REGION, on_everything, profiles, running

from secrets_svc.backends.aws import BACKEND as AWS


class TestVault(ExistingServed):
    @pytest.fixture
    def world(self, launch: Callable[..., Server], tmp_path: Path) -> Iterator[World]:
        folder = tmp_path / "bao"
        folder.mkdir()
        with Bao(folder) as bao:
            made = World(
                f'backend = "vault"\naddress = "{bao.address}"\n'
                f'login = {{ method = "token", token = "{bao.token}" }}\n',
                lambda path, document: bao.call("POST", f"secret/data/{path}", {"data": document}),
            )
            yield made.launched(launch(made.settings()))
            assert made.server.stop() == 0


class TestAws(ExistingServed):
    """By users who may do what is printed for such a store, and nothing else."""

    @pytest.fixture
    def world(self, launch: Callable[..., Server], tmp_path: Path) -> Iterator[World]:
        folder = tmp_path / "moto"
        folder.mkdir()
        with running(folder) as moto:
            plain = AWS.settings_model(region=REGION, existing="teams/{project}/{domain}/{name}")
            users = {
                role: moto.user(on_everything(AWS.policy(plain, role=role)))  # type: ignore[attr-defined]
                for role in ("writer", "reader")
            }
            file = profiles(folder / "credentials", **users)
            admin = moto.user(ANYTHING)
            moto.enforce(True)
            client = moto.client("secretsmanager", **admin)

            def put(path: str, document: dict[str, str]) -> None:
                try:
                    client.create_secret(Name=path, SecretString=json.dumps(document))
                except client.exceptions.ResourceExistsException:
                    client.put_secret_value(SecretId=path, SecretString=json.dumps(document))

            made = World(
                f'backend = "aws"\nregion = "{REGION}"\nendpoint_url = "{moto.url}"\n'
                'writer_profile = "writer"\nreader_profile = "reader"\n',
                put,
                environ={"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_EC2_METADATA_DISABLED": "true"},
            )
            yield made.launched(launch(made.settings(), **made.environ))
            assert made.server.stop() == 0
            client.close()


def test_settings_say_what_is_wrong_with_a_template(launch: Callable[..., Server]) -> None:
    text = '[stores.main]\nbackend = "aws"\nregion = "eu-central-1"\nexisting = "{project}-{domain}/{name}"\n'
    code, said = launch(text).fails_to_start()
    assert code == 2
    assert "stores.main: existing: must have a character behind {project}" in said
    assert "two scopes would have one path" in said
