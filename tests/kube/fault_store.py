"""A store of Kubernetes Secrets behind the proxy that fails."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from fault_proxy import FaultProxy
from fault_stores import Behind, service_behind
from kit import Cluster


@contextmanager
def kubernetes(cluster: Cluster, folder: Path) -> Iterator[Behind]:
    """In a namespace of its own, by an account that may do everything there."""
    namespace = cluster.namespace()
    subject = f"{namespace}:default"
    cluster.kubectl(
        *("create", "clusterrolebinding", namespace),
        *("--clusterrole=cluster-admin", f"--serviceaccount={subject}"),
    )
    trust = ssl.create_default_context(cafile=str(cluster.ca_file))
    trust.check_hostname = False
    proxy = FaultProxy(folder, ("127.0.0.1", urlsplit(cluster.server).port or 0), trust=trust)
    config = json.loads(
        cluster.kubeconfig_with(cluster.token(namespace, "default", seconds=3600)).read_text()
    )
    assert proxy.ca is not None
    config["clusters"][0]["cluster"] = {
        "server": f"https://localhost:{proxy.port}",
        "certificate-authority-data": base64.b64encode(proxy.ca.read_bytes()).decode(),
    }
    file = folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    with service_behind(
        folder, "kubernetes", proxy, {"kubeconfig": str(file), "namespace": namespace}
    ) as made:
        yield made
