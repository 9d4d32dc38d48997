"""A control plane on this machine, without root; as many at a time as are wanted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import build, control_plane, node_teardown, recipes
from .access import Access, write_kubeconfig
from .layout import ADMIN, Layout
from .processes import Processes

_PACKAGE = Path(__file__).parent
_FOLLOWERS = ("kube-scheduler", "kube-controller-manager")
_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


class Cluster(Access):
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler. See :class:`kit.access.Access`.

    They end with this process, even if it is killed.

    :param folder: for its state; a temporary one by default. Removed by :meth:`stop`.
    :param audit_policy: an ``audit.k8s.io/v1`` Policy.
    :param api_server_flags: further ones; the last of a kind counts.
    :ivar times: seconds that the start took, by part.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        audit_policy: Mapping[str, Any] = control_plane.AUDIT_POLICY,
        api_server_flags: Sequence[str] = (),
    ) -> None:
        build.ensure(recipes.CONTROL_PLANE)
        layout = Layout.make(folder or Path(tempfile.mkdtemp(prefix="kube-")))
        self.processes = Processes(layout.folder)
        self.times: dict[str, float] = {}
        #: Called by :meth:`stop` before it ends anything.
        self.closing = ExitStack()
        self._api_server_flags = api_server_flags
        self._guard: subprocess.Popen[bytes] | None = None
        control_plane.issue_certificates(layout)
        control_plane.write_files(layout, audit_policy)
        for name in (ADMIN, "controllers", "scheduler", "node"):
            write_kubeconfig(layout, name, client=layout.pair(name))
        super().__init__(layout)

    def start(self) -> Self:
        """Start it; returns when pods can be made in the namespace ``default``.

        :raises KitError: with the end of a program's log; nothing goes on running then.
        """
        began = time.monotonic()
        self._guard = _guard(self.layout.folder)
        try:
            self._start_etcd()
            self.start_api_server()
            self.api("POST", _BINDINGS, control_plane.KUBELET_ADMINS_BINDING).ok()
            self._start_followers()
            self._default_account("default")
        except BaseException:
            self.stop()
            raise
        self.times["control plane"] = time.monotonic() - began
        return self

    def stop(self) -> None:
        """End everything, the node too if there is one, and remove the folder. May be called again."""
        self.closing.close()
        stop(self.layout.folder, self.processes)
        self.leave_running()

    def leave_running(self) -> None:
        """Let it go on when this process ends; ``make kube-down`` or :func:`stop` ends it."""
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.kill()
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start_api_server(self) -> None:
        """Start it, again on the same port and with the same data; returns when it is ready.

        Controllers and scheduler start anew then, as where several compete to lead: the old ones would come
        back half a minute late, each at its own time. A kubelet comes back by itself within seconds.
        """
        began = time.monotonic()
        options = [*control_plane.api_server(self.layout), *self._api_server_flags]
        self._start("kube-apiserver", options)
        self.processes.ready("kube-apiserver", lambda: self.api("GET", "/readyz").status == 200)
        if self._followers_run():
            self.processes.stop(*_FOLLOWERS, number=signal.SIGKILL)
            self._start_followers()
        self.times["API server"] = time.monotonic() - began

    def stop_api_server(self, *, grace: float = 5.0) -> None:
        """Take it away; everything else goes on.

        :param grace: seconds for open calls; with 0 it is gone at once.
        """
        number = signal.SIGTERM if grace else signal.SIGKILL
        self.processes.stop("kube-apiserver", number=number, grace=grace)

    def _start_etcd(self) -> None:
        self._start("etcd", control_plane.etcd(self.layout))
        self.processes.ready("etcd", self._etcd_is_healthy)

    def _etcd_is_healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.layout.ports.etcd, timeout=2)
        try:
            connection.request("GET", "/health")
            return b'"true"' in connection.getresponse().read()
        finally:
            connection.close()

    def _followers_run(self) -> bool:
        return any(map(self.processes.alive, _FOLLOWERS))

    def _start_followers(self) -> None:
        self._start("kube-controller-manager", control_plane.controllers(self.layout))
        self._start("kube-scheduler", control_plane.scheduler(self.layout))

    def _start(self, name: str, options: list[str]) -> None:
        self.processes.start(name, [self.programs / name, *options])


def stop(folder: Path, processes: Processes | None = None) -> None:
    """End the cluster whose state lies in ``folder``, whoever started it, and remove the folder."""
    if not folder.exists():
        return
    processes = processes or Processes(folder)
    node_teardown.stop(processes)
    # What they keep is thrown away, so they need no time to end well.
    processes.stop(*_FOLLOWERS, "kube-apiserver", "etcd", number=signal.SIGKILL)
    shutil.rmtree(folder)


def _guard(folder: Path) -> subprocess.Popen[bytes]:
    """A process that ends the cluster as soon as we are gone."""
    return subprocess.Popen(
        [sys.executable, "-m", _PACKAGE.name, "guard", str(folder)],
        stdin=subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(_PACKAGE.parent)},
        start_new_session=True,
    )
