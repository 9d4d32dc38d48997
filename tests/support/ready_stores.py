"""Stores ready to use: settings and variables for a server of ours, and the servers that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple


class Store(NamedTuple):
    """What a server is started with."""

    settings: str = ""
    environment: dict[str, str] = {}  # noqa: RUF012  # nobody changes it


@contextmanager
def local(folder: Path) -> Iterator[Store]:
    """Nothing but files."""
    del folder
    yield Store()


@contextmanager
def vault(folder: Path) -> Iterator[Store]:
    """A real OpenBao server, and two identities with the policies that we print."""
    from bao import Bao

    from secrets_svc.backends.vault.backend import VaultBackend
    from secrets_svc.backends.vault.settings import VaultSettings

    with Bao(folder) as server:
        lines = [f'[stores.main]\nbackend = "vault"\naddress = "{server.address}"']
        login = {"method": "token", "token": "unused"}
        plain = VaultSettings.model_validate({"address": server.address, "login": login})
        for role in ("writer", "reader"):
            server.policy(role, VaultBackend().policy(plain, role=role))
            entries = server.approle(role, role, folder=folder)
            lines.append(f"[stores.main.{role}]")
            lines += [f'{key} = "{value}"' for key, value in entries.items()]
        yield Store("\n".join(lines) + "\n")


@contextmanager
def aws(folder: Path) -> Iterator[Store]:
    """moto's server with its IAM, and two users with the policies that we print."""
    from moto_server import REGION, on_everything, profiles, running

    from secrets_svc.backends.aws import BACKEND
    from secrets_svc.backends.aws.settings import AwsSettings

    with running(folder) as server:
        plain = AwsSettings(region=REGION, endpoint_url=server.url)
        policies = {role: BACKEND.policy(plain, role=role) for role in ("writer", "reader")}  # type: ignore[attr-defined]
        users = {role: server.user(on_everything(policy)) for role, policy in policies.items()}
        file = profiles(folder / "credentials", **users)
        server.enforce(True)
        yield Store(
            f'[stores.main]\nbackend = "aws"\nregion = "{REGION}"\nendpoint_url = "{server.url}"\n'
            'writer_profile = "writer"\nreader_profile = "reader"\n',
            {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_EC2_METADATA_DISABLED": "true"},
        )


BACKENDS: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "local": local,
    "vault": vault,
    "aws": aws,
}
