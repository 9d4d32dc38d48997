"""What a node changes on the machine around it, and how that is put back."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import KitError
from .layout import BRIDGE, BRIDGE_ADDRESS, POD_RANGE, SERVICE_ADDRESS

#: What a kubelet sets; and the last one CNI's bridge plugin, were it told to be a gateway.
SYSCTLS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
)
#: Where the node mounts folders of its own. They may have to be made, for the time being.
MOUNT_POINTS = ("/var/lib/kubelet", "/var/lib/cni")
_ATTEMPTS = 100


def as_found() -> dict[str, Any]:
    """What :func:`put_back` needs to know later. Taken before anything is changed.

    :raises KitError: if the machine runs a kubelet of its own.
    """
    for top in _cgroups():
        if any(_has_processes(Path(folder)) for folder, _, _ in os.walk(top)):  # some may go meanwhile
            raise KitError(f"{top} is in use: another kubelet runs on this machine")
    return {
        "sysctls": {name: (Path("/proc/sys") / name).read_text().strip() for name in SYSCTLS},
        "folders": [name for name in MOUNT_POINTS if not Path(name).exists()],
    }


def _has_processes(cgroup: Path) -> bool:
    try:
        return bool((cgroup / "cgroup.procs").read_text().strip())
    except OSError:
        return False


def prepare() -> None:
    """Make mount points, and the bridge with its addresses, before the first pod needs them."""
    for name in MOUNT_POINTS:
        Path(name).mkdir(parents=True, exist_ok=True)
    _remove_bridge()
    length = POD_RANGE.partition("/")[2]
    for arguments in (
        f"link add {BRIDGE} type bridge",
        f"addr add {BRIDGE_ADDRESS}/{length} dev {BRIDGE}",
        f"addr add {SERVICE_ADDRESS}/32 dev {BRIDGE}",
        f"link set {BRIDGE} up",
    ):
        done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            raise KitError(f"ip {arguments}: {done.stderr.strip()}")


def put_back(found: dict[str, Any]) -> None:
    """Undo. All processes of the node are gone by now, and all its mounts with them."""
    for name, value in found["sysctls"].items():
        (Path("/proc/sys") / name).write_text(value)
    _remove_bridge()
    for name in found["folders"]:
        if Path(name).exists():
            Path(name).rmdir()
    for top in _cgroups():
        _remove_cgroup(top)


def _remove_bridge() -> None:
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        subprocess.run(["ip", "link", "del", BRIDGE], check=True)


def _cgroups() -> Iterable[Path]:
    """Where a kubelet's cgroups lie: in each hierarchy of version 1, or in the one of version 2."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            yield Path(place) / "kubepods"


def _remove_cgroup(top: Path) -> None:
    """Deepest first. The kernel needs a moment after the last process."""
    for folder, _, _ in os.walk(top, topdown=False):
        for attempt in range(_ATTEMPTS):
            try:
                os.rmdir(folder)
                break
            except OSError:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.05)
