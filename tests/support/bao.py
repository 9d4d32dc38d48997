"""A real OpenBao server on loopback, ended by its own pid."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BAO = Path(sys.executable).with_name("bao")
ROOT = "root-of-these-tests"


class Bao:
    """A server: in memory, unsealed, or with ``folder`` on disk, sealed at each start until :meth:`unseal`.

    :param tls: PEM files of a certificate and its key: in memory, it listens with TLS too.
    :ivar address: where it listens, the same after a restart. :ivar tls_address: with TLS, if it does.
    :ivar token: of its root.
    """

    def __init__(self, folder: Path, *, on_disk: bool = False, tls: tuple[Path, Path] | None = None) -> None:
        self._folder = folder
        self._tls = tls
        self._on_disk = on_disk
        self._key = ""
        self.token = ROOT
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port, self._cluster_port = one.getsockname()[1], other.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.tls_address = f"https://127.0.0.1:{self._cluster_port}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        if self._on_disk:
            made = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            self._key, self.token = made["keys"][0], made["root_token"]
            self.unseal()
            self.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        self._wait_for_engine()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; it listens when this returns."""
        options = ["-dev", f"-dev-root-token-id={ROOT}", "-dev-no-store-token"]
        options.append(f"-dev-listen-address=127.0.0.1:{self.port}")
        if self._tls is not None:
            config = self._folder / "tls.hcl"
            certificate, key = self._tls
            config.write_text(
                f'listener "tcp" {{ address = "127.0.0.1:{self._cluster_port}"\n'
                f'tls_cert_file = "{certificate}"\ntls_key_file = "{key}" }}\n'
            )
            options.append(f"-config={config}")
        if self._on_disk:
            config = self._folder / "bao.hcl"
            config.write_text(
                f'storage "raft" {{ path = "{self._folder}/data"\nnode_id = "1"\n'
                # Alone, it need not wait long for others before it leads.
                f'performance_multiplier = "1" }}\n'
                f'api_addr = "{self.address}"\ncluster_addr = "https://127.0.0.1:{self._cluster_port}"\n'
                f'listener "tcp" {{ address = "127.0.0.1:{self.port}"\ntls_disable = true }}\n'
            )
            (self._folder / "data").mkdir(exist_ok=True)
            options = [f"-config={config}"]
        with (self._folder / "bao.log").open("ab") as log:
            self.process = subprocess.Popen([BAO, "server", *options], stdout=log, stderr=log)
        self._until(self._listens, "the server to listen")

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def unseal(self) -> None:
        """Open what :meth:`seal` or a start on disk has closed; it leads when this returns."""
        self.call("PUT", "sys/unseal", {"key": self._key})
        self._until(lambda: self.answer("GET", "sys/leader")[1].get("is_self"), "the server to lead")

    def seal(self) -> None:
        """Close it."""
        self.call("PUT", "sys/seal")

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """As root, or with ``token``; fails unless it is answered well."""
        status, answer = self.answer(method, path, body, token=token)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def answer(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        """Status and body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Vault-Token": token or self.token}
        request = urllib.request.Request(f"{self.address}/v1/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text, status = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            text, status = error.read(), error.code
        return status, json.loads(text) if text else None

    def policy(self, name: str, text: str) -> None:
        """Load a policy."""
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": text})

    def token_with(self, *policies: str, **more: Any) -> str:
        """A token with these policies and no others."""
        made = self.call(
            "POST", "auth/token/create", {"policies": list(policies), "no_default_policy": True, **more}
        )
        token: str = made["auth"]["client_token"]
        return token

    def approle(self, name: str, *policies: str, folder: Path, **more: Any) -> dict[str, str]:
        """Settings of an AppRole login with these policies."""
        if "approle/" not in self.call("GET", "sys/auth"):
            self.call("POST", "sys/auth/approle", {"type": "approle"})
        self.call("POST", f"auth/approle/role/{name}", {"token_policies": list(policies), **more})
        role_id = self.call("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        file = folder / f"{name}.secret-id"
        file.write_text(self.call("POST", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"])
        return {"method": "approle", "role_id": role_id, "secret_id_file": str(file)}

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self._folder / "bao.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.address}/v1/sys/seal-status", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False

    def _wait_for_engine(self) -> None:
        """It is upgraded for a moment after it was mounted."""
        self._until(
            lambda: self.answer("LIST", "secret/metadata/")[0] in {200, 404}, "the engine to be ready"
        )

    def _until(self, probe: Any, what: str, within: float = 20) -> None:
        deadline = time.monotonic() + within
        while not probe():
            assert time.monotonic() < deadline, f"{what}: {(self._folder / 'bao.log').read_text()[-2000:]}"
            time.sleep(0.05)
