"""A node on this machine: containerd and kubelet. Needs root; one at a time.

One ``unshare`` makes a mount and a process namespace, whose first process is the small ``pause``. containerd,
its shims, all containers and the kubelet live in there: when that process is killed, all of them and all
their mounts are gone. /run, /var/log and what a kubelet keeps in /var/lib are the node's own. The network is
the machine's, with pods on a bridge; it has no masquerading, no packet filter, no DNS and no Services but
``kubernetes``.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import build, forwarder, images, machine, node_files, node_teardown, recipes
from .cluster import Cluster
from .errors import KitError
from .layout import BRIDGE_ADDRESS, NODE_NAME, SERVICE_ADDRESS
from .node_files import MOUNTS, SOCKET
from .processes import Processes, only_child
from .turns import Turn


class Node:
    """The node of a running cluster. It can be stopped and started again; all pods on it are lost then.

    :param settings: of the kubelet (``KubeletConfiguration``), on top of the kit's.
    :param flags: further ones of the kubelet.
    :param turn: one that was taken already.
    :ivar times: seconds that the start took, by part.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        settings: Mapping[str, Any] | None = None,
        flags: Sequence[str] = (),
        turn: Turn | None = None,
    ) -> None:
        self.cluster = cluster
        self.name = NODE_NAME
        self.address = BRIDGE_ADDRESS
        self.times: dict[str, float] = {}
        self._settings = settings or {}
        self._flags = flags
        self._turn = turn or Turn()

    def start(self) -> Self:
        """Start it; returns when it is ready for pods.

        :raises KitError: without root, if another node doesn't end, or with the end of a program's log.
        """
        if os.geteuid():
            raise KitError("a node needs root")
        build.ensure(recipes.CONTROL_PLANE, recipes.NODE)
        self._turn.take()
        began = time.monotonic()
        self.cluster.closing.callback(self.stop)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        self.times["node"] = time.monotonic() - began
        return self

    def stop(self) -> None:
        """End all that runs on it, and put the machine back as it was. May be called again."""
        node_teardown.end_processes(self._processes)
        self._turn.end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start_kubelet(self) -> None:
        """Start it, again too; returns when it says that it is healthy."""
        layout = self.cluster.layout
        options = [
            f"--config={node_files.kubelet_file(layout)}",
            f"--kubeconfig={layout.kubeconfig('node')}",
            f"--hostname-override={NODE_NAME}",
            # It may not be a loopback address.
            f"--node-ip={BRIDGE_ADDRESS}",
            "--root-dir=/var/lib/kubelet",
            "-v=2",
        ]
        self._enter("kubelet", [self.cluster.programs / "kubelet", *options, *self._flags])
        self._processes.ready("kubelet", self._kubelet_is_healthy)

    def stop_kubelet(self) -> None:
        """Take it away; the containers go on."""
        wrapper = self._processes.identity("kubelet")
        if wrapper is not None and wrapper.alive:
            os.kill(only_child(wrapper.pid), signal.SIGTERM)
            self._processes.ended("kubelet")

    def ready(self) -> bool:
        """Whether Kubernetes thinks so."""
        status, node = self.cluster.api("GET", f"/api/v1/nodes/{NODE_NAME}")
        conditions = node["status"].get("conditions", []) if status == 200 else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def ctr(self, *arguments: str) -> str:
        """What containerd's own command says, about images and containers of Kubernetes.

        :raises KitError: with what it wrote, if it fails.
        """
        argv = [*self._inside(), str(self._programs / "ctr"), "-a", SOCKET, "-n", "k8s.io", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KitError(f"ctr {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    @property
    def _processes(self) -> Processes:
        return self.cluster.processes

    @property
    def _programs(self) -> Path:
        return build.programs_of(recipes.NODE)

    def _start(self) -> None:
        layout = self.cluster.layout
        self._turn.note({"pid": os.getpid(), "folder": str(layout.folder), "found": machine.as_found()})
        machine.prepare()
        node_files.write(layout, self._programs, self._settings)
        target = str(layout.ports.api_server)
        self._processes.start(
            "forwarder", [sys.executable, forwarder.__file__, SERVICE_ADDRESS, "443", target]
        )
        self._start_namespaces()
        self._start_containerd()
        began = time.monotonic()
        self.start_kubelet()
        self._processes.ready("kubelet", self.ready)
        self.times["kubelet"] = time.monotonic() - began

    def _start_namespaces(self) -> None:
        folder = self.cluster.layout.node
        done = folder / "mounted"
        done.unlink(missing_ok=True)
        script = [
            "set -e",
            # Shared among the node's own, but not with the machine's.
            "mount --make-rshared /",
            "mount -t tmpfs -o mode=755 tmpfs /run",
            *(f"mount --bind {shlex.quote(str(folder / name))} {place}" for place, name in MOUNTS.items()),
            "mkdir /run/netns",
            f": > {shlex.quote(str(done))}",
            f"exec {shlex.quote(str(self._programs / 'pause'))}",
        ]
        unshare = [
            "unshare",
            "-m",
            "-p",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "--propagation",
            "private",
        ]
        argv = [*unshare, "sh", "-c", "\n".join(script)]
        self._processes.start(node_teardown.NAMESPACES, argv, inherit=[self._turn.fileno()])
        self._processes.ready(node_teardown.NAMESPACES, done.exists, within=10)

    def _start_containerd(self) -> None:
        began = time.monotonic()
        layout = self.cluster.layout
        self._enter("containerd", [self._programs / "containerd", "-c", node_files.containerd_file(layout)])
        self._processes.ready("containerd", self._containerd_answers)
        for image in images.write_all(layout.node / "images", self._programs):
            self.ctr("images", "import", "--local", str(image))
        self.times["containerd and images"] = time.monotonic() - began

    def _containerd_answers(self) -> bool:
        try:
            return bool(self.ctr("version"))
        except KitError:
            return False

    def _kubelet_is_healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.cluster.layout.ports.kubelet_health, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def _enter(self, name: str, argv: Sequence[str | Path]) -> None:
        path = f"{self._programs}:{os.environ.get('PATH', os.defpath)}"
        self._processes.start(name, [*self._inside(), *argv], environ={"PATH": path})

    def _inside(self) -> list[str]:
        first = self._processes.identity(node_teardown.NAMESPACES)
        assert first is not None, "the node isn't started"
        return ["nsenter", "-t", str(only_child(first.pid)), "-m", "-p"]
