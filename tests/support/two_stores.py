"""Two stores on a real OpenBao: one is reached straight, the other through the proxy that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bao import Bao
from fault_proxy import FaultProxy

#: Projects, and the namespaces of their pods: shop's secrets are in the store that stays well.
SPARED, STRICKEN = "shop", "bank"
_SETTINGS = """
[stores.well]
backend = "vault"
address = "{direct}"
prefix = "well"
login = {{method = "token", token = "{token}"}}
[stores.sick]
backend = "vault"
address = "https://localhost:{port}"
ca_file = "{ca}"
prefix = "sick"
login = {{method = "token", token = "{token}"}}
[[routes]]
store = "sick"
project = "bank"
[[routes]]
store = "well"
[injector]
namespaces = {{"shop-production" = {{project = "shop", domain = "production"}}, \
"bank-production" = {{project = "bank", domain = "production"}}}}
"""


@contextmanager
def two_stores(folder: Path) -> Iterator[tuple[FaultProxy, str]]:
    """The proxy in front of the one, and settings of a server for both.

    Pods of shop need the store that is well, and no other; pods of bank need both.
    """
    with Bao(folder) as server:
        proxy = FaultProxy(folder, ("127.0.0.1", server.port))
        try:
            yield (
                proxy,
                _SETTINGS.format(direct=server.address, port=proxy.port, ca=proxy.ca, token=server.token),
            )
        finally:
            proxy.close()
