"""Where everything of one cluster lies, and on which ports it listens."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .certificates import Pair
from .ports import free_port

#: The kit's own bridge. Pods reach this machine at its address, and each other, and nothing else.
BRIDGE = "secrets-kube0"
BRIDGE_ADDRESS = "10.88.7.1"
POD_RANGE = "10.88.7.0/24"
SERVICE_RANGE = "10.88.8.0/24"
#: Of the Service ``kubernetes``.
SERVICE_ADDRESS = "10.88.8.1"
NODE_NAME = "node1"
ADMIN = "admin"


@dataclass(frozen=True)
class Ports:
    """All on 127.0.0.1."""

    api_server: int
    etcd: int
    etcd_peers: int
    controllers: int
    scheduler: int
    kubelet_health: int

    @classmethod
    def choose(cls) -> Ports:
        """Free ones."""
        return cls(*(free_port() for _ in range(6)))


@dataclass(frozen=True)
class Layout:
    """A cluster's state folder."""

    folder: Path
    ports: Ports

    @classmethod
    def make(cls, folder: Path) -> Layout:
        """Make the folder, and choose ports."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls(folder, Ports.choose())
        cls._file(folder).write_text(json.dumps(asdict(made.ports)))
        return made

    @classmethod
    def read(cls, folder: Path) -> Layout:
        """That of a cluster that somebody started.

        :raises FileNotFoundError: if nobody did.
        """
        return cls(folder, Ports(**json.loads(cls._file(folder).read_text())))

    @staticmethod
    def _file(folder: Path) -> Path:
        return folder / "ports.json"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.folder / "pki"

    @property
    def ca_file(self) -> Path:
        """What to trust for the API server, and for whatever ``Cluster.issue`` gave a certificate to."""
        return self.pair("ca").certificate

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://127.0.0.1:{self.ports.api_server}"

    @property
    def etcd(self) -> str:
        """URL of etcd."""
        return f"http://127.0.0.1:{self.ports.etcd}"

    @property
    def etcd_data(self) -> Path:
        """What etcd keeps on the disk."""
        return self.folder / "etcd"

    @property
    def audit_file(self) -> Path:
        """The API server's audit log."""
        return self.folder / "audit.jsonl"

    @property
    def node(self) -> Path:
        """All of the node."""
        return self.folder / "node"

    def pair(self, name: str) -> Pair:
        """The certificate and key of that name."""
        return Pair.named(self.pki, name)

    def kubeconfig(self, name: str) -> Path:
        """Where the kubeconfig of that name lies."""
        return self.folder / f"{name}.kubeconfig"
