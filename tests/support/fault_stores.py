"""Services on real servers behind the proxy that fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from bao import Bao
from fault_proxy import FaultProxy
from fault_table import Service

from secrets_svc.backends import registry
from secrets_svc.runtime.stores import Store

Behind = tuple[FaultProxy, Service]


@contextmanager
def service_behind(folder: Path, name: str, proxy: FaultProxy, settings: dict[str, Any]) -> Iterator[Behind]:
    """A service whose store is reached through ``proxy``."""
    try:
        backend = registry.load(name)
        service = Service(Store("main", backend, backend.settings_model.model_validate(settings), folder))
        service.look_up()
        try:
            yield proxy, service
        finally:
            service.close()
    finally:
        proxy.close()


@contextmanager
def vault(folder: Path) -> Iterator[Behind]:
    """OpenBao, on disk, so that it can be sealed and restarted. Both sides log in, with printed policies."""
    from vault_faults import ServerProxy

    with Bao(folder, on_disk=True) as server:
        proxy = ServerProxy(folder, server)
        plain = {"address": f"https://localhost:{proxy.port}", "ca_file": str(proxy.ca)}
        settings = {**plain, **logins(server, plain, folder)}
        with service_behind(folder, "vault", proxy, settings) as made:
            yield made


def logins(server: Bao, plain: dict[str, Any], folder: Path, **role: Any) -> dict[str, Any]:
    """Settings of how both sides log in.

    :param plain: the store's other settings. :param role: more about the AppRoles, e.g. ``token_ttl``.
    """
    backend = registry.load("vault")
    settings = backend.settings_model.model_validate({**plain, "login": {"method": "token", "token": "x"}})
    made = {}
    for side in ("writer", "reader"):
        server.policy(side, backend.policy(settings, role=side))  # type: ignore[attr-defined]
        made[side] = server.approle(side, side, folder=folder, **role)
    return made


@contextmanager
def aws(folder: Path) -> Iterator[Behind]:
    """moto."""
    from moto_server import REGION, running

    with running(folder) as server:
        proxy = FaultProxy(folder, ("127.0.0.1", urlsplit(server.url).port or 0))
        environment = {
            "AWS_CA_BUNDLE": str(proxy.ca),
            "AWS_ACCESS_KEY_ID": "AKIAADMIN",
            "AWS_SECRET_ACCESS_KEY": "admin",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with mock.patch.dict(os.environ, environment):
            settings = {"region": REGION, "endpoint_url": f"https://localhost:{proxy.port}"}
            with service_behind(folder, "aws", proxy, settings) as made:
                yield made


STORES: dict[str, Callable[[Path], AbstractContextManager[Behind]]] = {
    "vault": vault,
    "aws": aws,
}
