"""The ways into a running cluster: calls, kubectl, kubeconfigs, tokens, its audit log."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from . import build, recipes
from .api import Api
from .certificates import Authority, Pair
from .layout import ADMIN, Layout
from .waiting import until


class Access:
    """For whoever has the state folder.

    :ivar api: calls of the API server; see :class:`kit.api.Api`.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.api = Api(layout)
        self.programs = build.programs_of(recipes.CONTROL_PLANE)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self.layout.server

    @property
    def ca_file(self) -> Path:
        """What to trust for the API server, and for whatever :meth:`issue` gave a certificate to."""
        return self.layout.ca_file

    def issue(self, subject: str, *, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> Pair:
        """A certificate of the cluster's authority: for a user with groups, or for a server at ``hosts``."""
        return Authority(self.layout.pki).issue(uuid.uuid4().hex, subject, groups=groups, hosts=hosts)

    @property
    def admin_kubeconfig(self) -> Path:
        """Of the user ``admin``, who may do everything."""
        return self.layout.kubeconfig(ADMIN)

    def kubeconfig_for(self, user: str, *, groups: Sequence[str] = ()) -> Path:
        """A new kubeconfig of anybody, with a client certificate."""
        pair = self.issue(user, groups=groups)
        return write_kubeconfig(self.layout, f"{quote(user, safe='')}-{pair.key.stem}", client=pair)

    def kubeconfig_with(self, token: str) -> Path:
        """A new kubeconfig with a bearer token."""
        return write_kubeconfig(self.layout, f"token-{uuid.uuid4().hex}", token=token)

    def token(
        self,
        namespace: str,
        account: str = "default",
        *,
        audiences: Sequence[str] = (),
        seconds: int = 600,
        pod: Mapping[str, Any] | None = None,
    ) -> str:
        """A ServiceAccount's token (TokenRequest).

        :param audiences: the API server's own if there are none.
        :param seconds: of validity; the server takes no less than 600.
        :param pod: binds the token to that pod.
        """
        spec: dict[str, Any] = {"audiences": list(audiences), "expirationSeconds": seconds}
        if pod is not None:
            meta = pod["metadata"]
            bound = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
            spec["boundObjectRef"] = bound
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        token: str = self.api("POST", path, {"spec": spec}).ok()["status"]["token"]
        return token

    def kubectl(
        self,
        *arguments: str,
        stdin: str = "",
        kubeconfig: Path | None = None,
        check: bool = True,
        timeout: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as the admin by default.

        :raises AssertionError: with what it wrote, if it fails and ``check`` is on.
        """
        config = str(kubeconfig or self.admin_kubeconfig)
        done = subprocess.run(
            [str(self.programs / "kubectl"), "--kubeconfig", config, *arguments],
            input=stdin,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.layout.folder)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done

    def namespace(self, name: str = "", *, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace, by default with a name of its own, and wait until pods can be made there."""
        name = name or f"ns-{uuid.uuid4().hex[:10]}"
        meta = {"name": name, "labels": dict(labels or {})}
        self.api("POST", "/api/v1/namespaces", {"metadata": meta}).ok()
        self._default_account(name)
        return name

    def _default_account(self, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        until(lambda: self.api("GET", path).status == 200, what=f"the default account of {namespace}")

    def audit(self) -> list[dict[str, Any]]:
        """All events of the audit log so far. An event is there before its call is answered in full."""
        if not self.layout.audit_file.exists():
            return []
        complete, _, _ = self.layout.audit_file.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in complete.splitlines()]


def write_kubeconfig(
    layout: Layout, name: str, *, client: Pair | None = None, token: str | None = None
) -> Path:
    """A kubeconfig with a client certificate or a token, readable by us alone."""
    user = (
        {"token": token}
        if client is None
        else {"client-certificate": str(client.certificate), "client-key": str(client.key)}
    )
    cluster = {"server": layout.server, "certificate-authority": str(layout.ca_file)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kube",
        "clusters": [{"name": "kube", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "kube", "context": {"cluster": "kube", "user": "user"}}],
    }
    path = layout.kubeconfig(name)
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path
