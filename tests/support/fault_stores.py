"""Services on real servers behind the proxy that fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from fault_proxy import FaultProxy
from fault_table import Service

from secrets_svc.backends import registry

Behind = tuple[FaultProxy, Service]


@contextmanager
def service_behind(folder: Path, name: str, proxy: FaultProxy, settings: dict[str, Any]) -> Iterator[Behind]:
    """A service whose store is reached through ``proxy``."""
    try:
        service = Service(registry.load(name), settings, folder)
        try:
            yield proxy, service
        finally:
            service.close()
    finally:
        proxy.close()


@contextmanager
def vault(folder: Path) -> Iterator[Behind]:
    """OpenBao."""
    from bao import Bao

    with Bao(folder) as server:
        proxy = FaultProxy(folder, ("127.0.0.1", server.port))
        settings = {
            "address": f"https://localhost:{proxy.port}",
            "ca_file": str(proxy.ca),
            "login": {"method": "token", "token": server.token},
        }
        with service_behind(folder, "vault", proxy, settings) as made:
            yield made


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
